"""A trained model: a backbone with its weights, and what is to be done to the pixels before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from noisebench import backbones
from noisebench.errors import FileError
from noisebench.evaluation.result import Preprocessing


@dataclass(frozen=True)
class TrainedModel:
    """A backbone with its weights.

    Attributes:
        name: Name of the backbone; for an ONNX file, the file's.
        backbone: float [B, 3, H, W], prepared as ``preprocessing`` says, -> raw embeddings [B, D].
        embedding_size: D.
        preprocessing: H and W, the order of colours, and the scaling.
    """

    name: str
    backbone: nn.Module
    embedding_size: int
    preprocessing: Preprocessing

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the images it takes."""
        return self.preprocessing.image_size

    def on_rgb(self) -> nn.Module:
        """The backbone for images that are RGB, whatever order it was trained with."""
        return self.backbone if self.preprocessing.channels == "rgb" else _Reversed(self.backbone)


class _Reversed(nn.Module):
    """A backbone that is shown the colours in reverse order."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        embeddings: Tensor = self.backbone(images.flip(1))
        return embeddings


Shapes = Mapping[str, tuple[int, ...]]


def shapes_of(name: str, embedding_size: int, image_size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a backbone's tensors, without memory for them.

    Raises:
        UserError: There is no such backbone, or a size is not one it takes.
    """
    with torch.device("meta"):
        backbone = backbones.create(name, embedding_size=embedding_size, image_size=image_size)
    return {tensor: tuple(value.shape) for tensor, value in backbone.state_dict().items()}


def build(
    path: Path,
    name: str,
    preprocessing: Preprocessing,
    embedding_size: int,
    shapes: Shapes,
    weights: Callable[[], Mapping[str, Tensor]],
) -> TrainedModel:
    """Build a model whose weights must fit its backbone exactly.

    Nothing large is allocated before the shapes were compared, so that a file cannot ask for more than it holds.

    Args:
        path: The file the weights come from, for messages.
        name: Name of the backbone.
        preprocessing: Of the images it takes.
        embedding_size: Length of an embedding.
        shapes: Names and shapes of the file's tensors.
        weights: Reads them.

    Raises:
        FileError: A name or a shape differs; the first is given.
        UserError: There is no such backbone, or a size is not one it takes.
    """
    _check_fit(path, name, shapes_of(name, embedding_size, preprocessing.image_size), shapes)
    backbone = backbones.create(name, embedding_size=embedding_size, image_size=preprocessing.image_size)
    backbone.load_state_dict(weights())
    return TrainedModel(name, backbone.eval(), embedding_size, preprocessing)


def _check_fit(path: Path, name: str, expected: Shapes, found: Shapes) -> None:
    problem = f"its weights do not fit the backbone {name}"
    missing = [tensor for tensor in expected if tensor not in found]
    if missing:
        raise FileError(path, f"{problem}: {len(missing)} of {len(expected)} tensors are missing, first '{missing[0]}'")
    surplus = [tensor for tensor in found if tensor not in expected]
    if surplus:
        raise FileError(path, f"{problem}: {len(surplus)} tensors it does not have, first '{surplus[0][:100]}'")
    for tensor, shape in expected.items():
        if found[tensor] != shape:
            raise FileError(path, f"{problem}: '{tensor}' is {_text(found[tensor])}, expected {_text(shape)}")


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"
