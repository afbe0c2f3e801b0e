"""Embeddings of test images: what is done to their pixels, and how the views of an image become one embedding.

Preprocessing is InsightFace's: 112x112, (x / 255 - 0.5) / 0.5, RGB unless the backbone wants BGR. An image's embedding
is the sum of the backbone's raw outputs for the image and its mirror image, unless a protocol has another rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from typing import Literal, NoReturn, Protocol, TypeAlias

import cv2
import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from noisebench.errors import UserError
from noisebench.evaluation.kept import EmbeddedBatch, KeptEmbeddings
from noisebench.evaluation.result import Preprocessing
from noisebench.formats import jpeg
from noisebench.formats.jpeg import Image
from noisebench.heads.collective import world

IMAGE_SIZE = (112, 112)
"""Height and width of an aligned face, as the field crops it."""

Flip: TypeAlias = Literal["none", "sum", "concatenation"]
"""What becomes of the mirror image: left out, its embedding added, or put behind, which gives 2D numbers."""

Features: TypeAlias = NDArray[np.float32]

LazyImage: TypeAlias = Callable[[], Image]
"""An image that is decoded when it is called: only in the process that embeds it."""


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of a list of images.

    Attributes:
        vectors: float32 [N, D], raw outputs of the backbone, joined as the flip rule says; not normalised.
        mean_norm: Mean norm of the raw outputs, over images and their views.
    """

    vectors: Features
    mean_norm: float


class Watch(Protocol):
    """What watches whether a process gets on."""

    def enter(self, phase: Literal["embed", "gather"], step: int, /) -> None:
        """Note that the process begins to embed its next batch, or to wait for those of the others."""

    def rest(self) -> None:
        """Note that the process does something else, for as long as it likes."""


class Embedder:
    """A backbone with what is done to an image before it.

    Args:
        backbone: float [B, 3, H, W] in [-1, 1] -> [B, D] raw embeddings; stands on ``device``.
        device: Where to compute.
        preprocessing: What is done to the pixels.
        batch_size: Images embedded at a time.
        spread: Whether the processes of a run, all of which must then embed the same images in the same order, take
            batches in turn and tell each other the embeddings. Batches are those of a single process, so with as many
            threads in each, its embeddings are what all of them get, to the last bit.
        visible: Whether to show how far it has come, on a terminal.
        kept: Where what was embedded before a stop is found, and kept for the next.
        watch: Is told how this process gets on.

    Attributes:
        preprocessing: As given.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        device: torch.device | str = "cpu",
        preprocessing: Preprocessing | None = None,
        batch_size: int = 256,
        spread: bool = False,
        visible: bool = False,
        kept: KeptEmbeddings | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.preprocessing = preprocessing or Preprocessing()
        self._backbone = backbone
        self._device = device
        self._batch_size = batch_size
        self._rank, self._world_size = world() if spread else (0, 1)
        self._visible, self._kept, self._watch = visible, kept, watch
        self._norms, self._num_outputs = 0.0, 0

    @property
    def mean_norm(self) -> float:
        """Mean norm of all raw outputs so far, over images and views; NaN before the first."""
        return self._norms / self._num_outputs if self._num_outputs else math.nan

    def blocks(
        self, images: Iterable[Image | LazyImage], flip: Flip = "sum", total: int | None = None
    ) -> Iterator[Features]:
        """Embed images in evaluation mode, a batch after the other; the modes are restored after each.

        Args:
            images: RGB, uint8 [H, W, 3], of any size.
            flip: What becomes of the mirror image.
            total: How many images there are, to tell how long it will take.

        Yields:
            float32 [B, D] or, concatenated, [B, 2D].

        Raises:
            UserError: An image cannot be decoded; all processes raise what the one that embeds it does.
        """
        batches = self._batches(images)
        with self._bar(total) as bar, self._watched() as enter:
            for turn in count():
                enter("embed", turn)
                in_turn = list(islice(batches, self._world_size))
                if not in_turn:
                    break
                own = self._embed_own(in_turn, flip)
                enter("gather", turn)
                for embedded in self._gather(own):
                    if isinstance(embedded, UserError):
                        raise embedded
                    if embedded is not None:
                        self._norms += embedded.sum_of_norms
                        self._num_outputs += embedded.num_outputs
                        bar.update(len(embedded.vectors))
                        yield embedded.vectors

    def embed(self, images: Iterable[Image | LazyImage], flip: Flip = "sum", total: int | None = None) -> Features:
        """As `blocks`, all in one array.

        Raises:
            UserError: There is no image, or one cannot be decoded.
        """
        blocks = list(self.blocks(images, flip, total))
        if not blocks:
            raise UserError("there are no images to embed")
        return np.concatenate(blocks)

    @contextmanager
    def _watched(self) -> Iterator[Callable[[Literal["embed", "gather"], int], None]]:
        """What tells the watch of a phase and its turn; it is left to rest when all is done."""
        if self._watch is None:
            yield lambda phase, turn: None
            return
        try:
            yield self._watch.enter
        finally:
            self._watch.rest()

    def _bar(self, total: int | None) -> tqdm[NoReturn]:
        disabled = None if self._visible else True  # None: where there is no terminal
        return tqdm(total=total, desc="embedding", unit="image", delay=2, leave=False, disable=disabled)

    def _batches(self, images: Iterable[Image | LazyImage]) -> Iterator[list[Image | LazyImage]]:
        remaining = iter(images)
        while batch := list(islice(remaining, self._batch_size)):
            yield batch

    def _embed_own(self, in_turn: list[list[Image | LazyImage]], flip: Flip) -> EmbeddedBatch | UserError | None:
        """What this process makes of its batch; None where there is none left for it."""
        if self._rank >= len(in_turn):
            return None
        try:
            decoded = (image() if callable(image) else image for image in in_turn[self._rank])
            return self._embed(np.stack([prepare(image, self.preprocessing) for image in decoded]), flip)
        except UserError as error:
            return error  # raised once the other processes know, who would wait for this one

    def _embed(self, pixels: NDArray[np.uint8], flip: Flip) -> EmbeddedBatch:
        """The embeddings of pixels uint8 [B, H, W, 3], as they were kept or else by the backbone."""
        if self._kept is None:
            return self._compute(pixels, flip)
        name = self._kept.name(pixels, flip, torch.device(self._device).type)
        found = self._kept.find(name)
        if found is None:
            found = self._compute(pixels, flip)
            self._kept.keep(name, found)
        return found

    def _compute(self, pixels: NDArray[np.uint8], flip: Flip) -> EmbeddedBatch:
        raw = self._outputs(pixels, flip)
        joined = torch.cat(tuple(raw), dim=1) if flip == "concatenation" else raw.sum(dim=0)
        norms = float(raw.norm(dim=2).sum(dtype=torch.float64))
        return EmbeddedBatch(joined.cpu().numpy(), norms, raw.shape[0] * raw.shape[1])

    def _gather(self, own: EmbeddedBatch | UserError | None) -> list[EmbeddedBatch | UserError | None]:
        """What each process has embedded in this turn, in the order of the batches."""
        found = [own] * self._world_size
        if self._world_size > 1:
            dist.all_gather_object(found, own)
        return found

    def _outputs(self, pixels: NDArray[np.uint8], flip: Flip) -> torch.Tensor:
        """Raw outputs [views, B, D] for pixels uint8 [B, H, W, 3]."""
        with _evaluation_mode(self._backbone), torch.inference_mode():
            images = _normalise(pixels, self._device)
            views = [images] if flip == "none" else [images, images.flip(-1)]
            return torch.stack([self._backbone(view).float() for view in views])


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

    Args:
        backbone: float [B, 3, H, W] RGB in [-1, 1] -> [B, D] raw embeddings; stands on ``device``.
        jpegs: N encoded images. One that occurs several times is embedded once.
        device: Where to compute.
        batch_size: Images decoded at a time.
        image_size: Height and width the backbone takes; images of another size are resized.
        flip: Whether to add the embedding of the mirror image.

    Raises:
        UserError: There is no image, or one cannot be decoded; its index is named.
    """
    preprocessing = Preprocessing(image_size=image_size)
    embedder = Embedder(backbone, device=device, preprocessing=preprocessing, batch_size=batch_size)
    return embed_encoded(embedder, jpegs, "sum" if flip else "none")


def embed_encoded(embedder: Embedder, jpegs: Sequence[bytes], flip: Flip = "sum") -> Embeddings:
    """Embed encoded images; one that occurs several times, as most do in pairs, is embedded once.

    Raises:
        UserError: There is no image, or one cannot be decoded; its index is named.
    """
    first: dict[bytes, int] = {}
    where = [first.setdefault(encoded, position) for position, encoded in enumerate(jpegs)]
    distinct, which = np.unique(where, return_inverse=True)
    images = (partial(_decoded, jpegs, number) for number in distinct.tolist())
    vectors = embedder.embed(images, flip, len(distinct))
    return Embeddings(vectors[which], embedder.mean_norm)


def find_device(name: str) -> torch.device:
    """The device of that name, such as "cpu", "cuda" or "cuda:1".

    Raises:
        UserError: There is no such device here.
    """
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        raise UserError(f"device '{name}' cannot be used: {str(error).splitlines()[0]}") from error


def _decoded(jpegs: Sequence[bytes], number: int) -> Image:
    try:
        return jpeg.decode(jpegs[number])
    except jpeg.ImageError as error:
        raise UserError(f"image {number}: {error}") from error


def prepare(image: Image, preprocessing: Preprocessing) -> Image:
    """Size, blur and channel order of an image, uint8 [H, W, 3] RGB, as the backbone is to see it."""
    image = _fit(image, preprocessing.image_size)
    if preprocessing.gauss_sigma is not None:
        image = gauss(image, preprocessing.gauss_sigma)
    return image if preprocessing.channels == "rgb" else image[..., ::-1]


def gauss(image: Image, sigma: float) -> Image:
    """Blur an image by a Gaussian of ``sigma`` pixels, cut off beyond three of them and mirrored at the borders."""
    side = 2 * math.ceil(3 * sigma) + 1
    blurred = cv2.GaussianBlur(image, (side, side), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.uint8)


def _normalise(images: NDArray[np.uint8], device: torch.device | str) -> torch.Tensor:
    """Pixels uint8 [B, H, W, 3] as float [B, 3, H, W] in [-1, 1], in channels-last memory as they came."""
    pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
    return pixels.float().div_(255).sub_(0.5).div_(0.5)


def _fit(image: Image, image_size: tuple[int, int]) -> Image:
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
