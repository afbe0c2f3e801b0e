"""Embeddings of test images, and a backbone's result on a verification set.

Preprocessing is InsightFace's: RGB, 112x112, (x / 255 - 0.5) / 0.5; an image's embedding is the sum of the backbone's
raw outputs for the image and its mirror image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from noisebench.errors import UserError
from noisebench.evaluation.verification import verify
from noisebench.formats import jpeg
from noisebench.formats.verification_bin import VerificationSet

IMAGE_SIZE = (112, 112)
"""Height and width of an aligned face, as the field crops it."""


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of a list of images.

    Attributes:
        vectors: float32 [N, D], raw output for the image plus, with flip, that for its mirror image; not normalised.
        mean_norm: Mean norm of the raw outputs, over images and flips.
    """

    vectors: NDArray[np.float32]
    mean_norm: float


@dataclass(frozen=True)
class EvaluationResult:
    """A backbone's result on one verification set; the fields are those of a result record's metrics."""

    sha256: str
    num_pairs: int
    accuracy: float
    accuracy_std: float
    tar_at_far: dict[str, float]
    mean_norm: float


def evaluate(
    backbone: nn.Module,
    testset: VerificationSet,
    *,
    device: torch.device | str,
    batch_size: int = 256,
    image_size: tuple[int, int] = IMAGE_SIZE,
) -> EvaluationResult:
    """Verify the pairs of a test set with a backbone.

    Raises:
        UserError: An image cannot be decoded, or the set cannot be verified (see `verify`); the set is named.
    """
    try:
        embeddings = embed(backbone, testset.jpegs, device=device, batch_size=batch_size, image_size=image_size)
        result = verify(embeddings.vectors[0::2], embeddings.vectors[1::2], testset.same)
    except UserError as error:
        raise UserError(f"test set '{testset.name}': {error}") from error
    return EvaluationResult(
        sha256=testset.sha256,
        num_pairs=len(testset.same),
        accuracy=result.accuracy,
        accuracy_std=result.accuracy_std,
        tar_at_far={f"{far:g}": tar for far, tar in result.tar_at_far.items()},
        mean_norm=embeddings.mean_norm,
    )


def embed(
    backbone: nn.Module,
    jpegs: Sequence[bytes],
    *,
    device: torch.device | str,
    batch_size: int = 256,
    image_size: tuple[int, int] = IMAGE_SIZE,
    flip: bool = True,
) -> Embeddings:
    """Embed encoded images in evaluation mode; the modes of the backbone's modules are restored afterwards.

    An image that occurs several times, as most do in the pairs of a verification set, is embedded once.

    Args:
        backbone: float [B, 3, H, W] RGB in [-1, 1] -> [B, D] raw embeddings; stands on ``device``.
        jpegs: N encoded images.
        device: Where to compute.
        batch_size: Images decoded at a time.
        image_size: Height and width the backbone takes; images of another size are resized.
        flip: Whether to add the embedding of the mirror image.

    Raises:
        UserError: There is no image, or one cannot be decoded; its index is named.
    """
    if not jpegs:
        raise UserError("there are no images to embed")
    first: dict[bytes, int] = {}
    where = [first.setdefault(encoded, position) for position, encoded in enumerate(jpegs)]
    distinct, which = np.unique(where, return_inverse=True)
    vectors, norms = [], []
    with _evaluation_mode(backbone), torch.inference_mode():
        for start in range(0, len(distinct), batch_size):
            images = _normalise(_decode(jpegs, distinct[start : start + batch_size], image_size), device)
            raw = torch.stack([backbone(view).float() for view in _views(images, flip)])
            norms.append(raw.norm(dim=2).mean(dim=0).cpu().numpy())
            vectors.append(raw.sum(dim=0).cpu().numpy())
    return Embeddings(np.concatenate(vectors)[which], float(np.concatenate(norms)[which].mean(dtype=np.float64)))


def _views(images: torch.Tensor, flip: bool) -> list[torch.Tensor]:
    return [images, images.flip(-1)] if flip else [images]


def _normalise(images: NDArray[np.uint8], device: torch.device | str) -> torch.Tensor:
    """Pixels uint8 [B, H, W, 3] as float [B, 3, H, W] in [-1, 1], in channels-last memory as they came."""
    pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
    return pixels.float().div_(255).sub_(0.5).div_(0.5)


def _decode(jpegs: Sequence[bytes], chosen: NDArray[np.int64], image_size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode the chosen ones of the images to uint8 [B, H, W, 3]."""
    images = np.empty((len(chosen), *image_size, 3), np.uint8)
    for position, number in enumerate(chosen):
        try:
            images[position] = _fit(jpeg.decode(jpegs[number]), image_size)
        except jpeg.ImageError as error:
            raise UserError(f"image {number}: {error}") from error
    return images


def _fit(image: NDArray[np.uint8], image_size: tuple[int, int]) -> NDArray[np.uint8]:
    """Bring an image to a size: its largest central part of the right proportions, resized by bicubic interpolation."""
    height, width = image.shape[:2]
    if (height, width) == image_size:
        return image
    scale = min(height / image_size[0], width / image_size[1])
    kept_height, kept_width = max(round(image_size[0] * scale), 1), max(round(image_size[1] * scale), 1)
    top, left = (height - kept_height) // 2, (width - kept_width) // 2
    part = np.ascontiguousarray(image[top : top + kept_height, left : left + kept_width])
    return np.asarray(cv2.resize(part, image_size[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


@contextmanager
def _evaluation_mode(backbone: nn.Module) -> Iterator[None]:
    """Put every module in evaluation mode, then each back in the mode it was in (some may be frozen on purpose)."""
    modes = [(module, module.training) for module in backbone.modules()]
    backbone.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
