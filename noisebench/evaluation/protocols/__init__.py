"""Evaluation protocols: one file each, found by scan.

A file dropped in this folder is a protocol by the file's name; it defines one subclass of `Protocol`, whose fields are
the protocol's options. Nothing else has to be edited. An installed package offers such a class by an entry point of the
group ``noisebench.testsets``.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr, ValidationError

from noisebench.config import Settings, explain
from noisebench.errors import UserError
from noisebench.evaluation.embed import Embedder
from noisebench.evaluation.result import Provenance, TestMetrics
from noisebench.plugins import Group, is_subclass


class Protocol(Settings, ABC):
    """How a test set is evaluated; its fields are options."""

    _name: str = PrivateAttr(default="")

    @classmethod
    @abstractmethod
    def recognises(cls, path: Path) -> bool:
        """Whether a file or folder is a test set of this protocol where none is named."""

    @abstractmethod
    def evaluate(self, path: Path, embedder: Embedder | None) -> TestMetrics:
        """Evaluate a backbone on a test set.

        Args:
            path: The test set's file or folder.
            embedder: The backbone; None where the test set has to hold features.

        Raises:
            UserError: The test set is at fault, or holds images and there is no backbone.
        """

    @property
    def name(self) -> str:
        """The protocol's name: the one it was made by, or else its file's."""
        return self._name or type(self).__module__.rpartition(".")[2]

    def provenance(self, embedder: Embedder | None, *, flip: str, fusion: str) -> Provenance:
        """What a result of this protocol is to say about how it was come by."""
        return Provenance(
            protocol=self.name,
            options=self.model_dump(mode="json"),
            preprocessing=embedder.preprocessing if embedder else None,
            flip=flip,
            fusion=fusion,
        )


def names() -> list[str]:
    """The names of all protocols, sorted."""
    return sorted({*_files(), *PLUGINS.names()})


def descriptions() -> dict[str, str]:
    """What each protocol is, in one line, by its name."""
    own = {name: (find(name).__doc__ or "").partition("\n")[0] for name in _files()}
    return dict(sorted((own | {name: PLUGINS.describe(name) for name in PLUGINS.names()}).items()))


def create(name: str, options: dict[str, Any] | None = None) -> Protocol:
    """A protocol with its options.

    Raises:
        UserError: The protocol or an option is unknown (the nearest is named), or a value is outside its range.
    """
    found = find(name)
    try:
        protocol = found.model_validate(options or {})
    except ValidationError as error:
        raise UserError(f"protocol '{name}': {explain(error, found)}") from error
    protocol._name = name
    return protocol


def find(name: str) -> type[Protocol]:
    """The class of a protocol.

    Raises:
        UserError: There is no such protocol; the nearest name is given.
    """
    if name not in _files():
        return PLUGINS.load(name)
    module = importlib.import_module(f"{__name__}.{name}")
    classes: list[type[Protocol]] = [
        item for item in vars(module).values() if is_subclass(item, Protocol) and item.__module__ == module.__name__
    ]
    (found,) = classes
    return found


def recognise(path: Path) -> str:
    """The name of the protocol a test set is of by its content; packages are asked only where no file here knows it.

    Raises:
        UserError: It is of none.
    """
    if not path.exists():
        raise UserError(f"{path}: no such test set (check the path)")
    for name in _files():
        if find(name).recognises(path):
            return name
    for name, protocol in PLUGINS.usable().items():
        if protocol.recognises(path):
            return name
    raise UserError(f"{path}: no protocol knows this test set (name one with --protocol: {', '.join(names())})")


def backbone_of(embedder: Embedder | None) -> Embedder:
    """The embedder, where one is needed.

    Raises:
        UserError: There is none.
    """
    if embedder is None:
        raise UserError("the test set holds images: name a backbone with --checkpoint")
    return embedder


def _files() -> list[str]:
    """The protocols of this folder, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


PLUGINS: Group[type[Protocol]] = Group(
    kind="protocol",
    name="noisebench.testsets",
    expected="a subclass of noisebench.evaluation.protocols.Protocol",
    fits=lambda found: is_subclass(found, Protocol),
    own_names=_files,
)
"""The protocols of installed packages."""
