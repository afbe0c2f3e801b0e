"""Any test set, by one line of text: ``PATH``, or with variants ``PATH@NAME[:KEY=VALUE,...]``.

For instance:

- ``lfw.bin@gauss:sigma=1.5``: images blurred by a Gaussian of 1.5 pixels, after decoding and resizing, before scaling;
- ``sllfw/pairs.txt@boundaryface``: evaluated by another protocol than its content suggests;
- ``IJBC@ijb:flags=N1D0F2``: a protocol with options.

A variant is part of the test set's name wherever its result is shown, so that it never shares a column with the plain
one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import nn

from noisebench.config import explain
from noisebench.errors import FileError, UserError, did_you_mean
from noisebench.evaluation import protocols
from noisebench.evaluation.embed import IMAGE_SIZE, Embedder, Watch
from noisebench.evaluation.kept import KeptEmbeddings
from noisebench.evaluation.protocols import Protocol
from noisebench.evaluation.result import Channels, Preprocessing, TestMetrics
from noisebench.files import sha256_of
from noisebench.formats import verification_bin

BLUR = "gauss"


@dataclass(frozen=True)
class TestSetSpec:
    """A test set and how it is to be evaluated.

    Attributes:
        path: Its file or folder.
        variants: What stands behind the path, beginning with @; empty for the plain set.
        protocol: The protocol, with its options.
        gauss_sigma: Standard deviation of the blur in pixels, or None.
    """

    path: Path
    variants: str
    protocol: Protocol
    gauss_sigma: float | None

    @property
    def name(self) -> str:
        """The name its results go by: the file's or folder's, with the variants."""
        return (self.path.stem if self.path.is_file() else self.path.resolve().name) + self.variants


def parse(text: str, protocol: str | None = None) -> TestSetSpec:
    """Read the line that names a test set.

    Args:
        text: As in the head of this file.
        protocol: Name of the protocol, with ``:KEY=VALUE`` if it is to have options; default: what the variants or else
            the content of the test set say.

    Raises:
        UserError: There is no such file, or a variant is unknown or given twice (the nearest name is named).
    """
    path, variants = split(text)
    chosen: dict[str, dict[str, str]] = {}
    for variant in [*([protocol] if protocol else []), *filter(None, variants.split("@"))]:
        name, _, options = variant.partition(":")
        known = [BLUR, *protocols.names()]
        if name not in known:
            raise UserError(f"test set '{text}': unknown variant '{name}': {did_you_mean(name, known)}")
        if name in chosen:
            raise UserError(f"test set '{text}': '{name}' is given twice")
        chosen[name] = _options(text, options)
    blur = chosen.pop(BLUR, None)
    if len(chosen) > 1:
        raise UserError(f"test set '{text}': two protocols, {' and '.join(chosen)}; expected one")
    name, found = next(iter(chosen.items())) if chosen else (protocols.recognise(Path(path)), {})
    if protocol and not (protocol == name and _is_default(path, name)):
        variants = f"@{protocol}{variants}"
    return TestSetSpec(Path(path), variants, protocols.create(name, found), _sigma(text, blur))


def split(text: str) -> tuple[str, str]:
    """Path and variants of the line that names a test set."""
    if Path(text).exists():  # an @ in a file's own name
        return text, ""
    folder, slash, last = text.rpartition("/")
    name, at, variants = last.partition("@")
    return folder + slash + name, at + variants


def identity(spec: TestSetSpec) -> str:
    """What tells a test set, with its variants, from every other before it is evaluated.

    Returns:
        SHA-256 of a file, or over the names and sizes of the files in a folder; then the variants.

    Raises:
        FileError: A ``.bin`` file is at fault.
    """
    if spec.path.suffix == ".bin":
        return verification_bin.read(spec.path).sha256 + spec.variants
    if spec.path.is_file():
        return sha256_of(spec.path) + spec.variants
    files = sorted(file for file in spec.path.rglob("*") if file.is_file())
    sizes = [(str(file.relative_to(spec.path)), file.stat().st_size) for file in files]
    return hashlib.sha256(json.dumps(sizes).encode()).hexdigest() + spec.variants


def evaluate_test_set(
    backbone: nn.Module | None,
    spec: TestSetSpec,
    *,
    device: torch.device | str = "cpu",
    image_size: tuple[int, int] = IMAGE_SIZE,
    channels: Channels = "rgb",
    batch_size: int = 256,
    spread: bool = False,
    watch: Watch | None = None,
    visible: bool = False,
    kept: KeptEmbeddings | None = None,
) -> TestMetrics:
    """Evaluate a backbone on a test set.

    Args:
        backbone: float [B, 3, H, W] in [-1, 1] -> [B, D] raw embeddings; stands on ``device``. None where the test set
            holds features.
        spec: The test set; see `parse`.
        device: Where to compute.
        image_size: Height and width the backbone takes.
        channels: The order of colours it was trained with.
        batch_size: Images embedded at a time.
        spread: Whether all processes of a run call this and embed their share of the images; see `Embedder`.
        watch: Is told how this process gets on.
        visible: Whether to show how far it has come, on a terminal.
        kept: Where what was embedded before a stop is found, and kept for the next.

    Raises:
        UserError: The test set is at fault; it is named.
    """
    preprocessing = Preprocessing(image_size=image_size, channels=channels, gauss_sigma=spec.gauss_sigma)
    embedder = None
    if backbone is not None:
        embedder = Embedder(
            backbone,
            device=device,
            preprocessing=preprocessing,
            batch_size=batch_size,
            spread=spread,
            watch=watch,
            visible=visible,
            kept=kept,
        )
    try:
        return spec.protocol.evaluate(spec.path, embedder)
    except FileError:
        raise
    except UserError as error:
        raise UserError(f"test set '{spec.name}': {error}") from error


def _options(text: str, options: str) -> dict[str, str]:
    found = {}
    for option in filter(None, options.split(",")):
        key, equals, value = option.partition("=")
        if not equals or not key or key in found:
            raise UserError(f"test set '{text}': '{option}' is no option; expected KEY=VALUE, each key once")
        found[key] = value
    return found


def _sigma(text: str, blur: dict[str, str] | None) -> float | None:
    if blur is None:
        return None
    if list(blur) != ["sigma"]:
        raise UserError(f"test set '{text}': expected @{BLUR}:sigma=PIXELS, such as @{BLUR}:sigma=1.5")
    try:
        return Preprocessing.model_validate({"gauss_sigma": blur["sigma"]}).gauss_sigma
    except ValidationError as error:
        raise UserError(f"test set '{text}': {explain(error, Preprocessing)}") from error


def _is_default(path: str, name: str) -> bool:
    """Whether the content of a test set suggests a protocol by itself."""
    return Path(path).exists() and protocols.find(name).recognises(Path(path))
