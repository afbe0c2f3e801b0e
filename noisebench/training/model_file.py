"""Model files: what a finished run leaves. Tensors and plain values only; pickled code is refused, not run."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field, ValidationError
from torch import nn

from noisebench import backbones
from noisebench.config import Settings, explain
from noisebench.errors import FileError
from noisebench.files import whole_file

MODEL_FILE = "model.pt"


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("wb") as stream:  # given a path, torch hides a full disk
        torch.save(content, stream)


def load(path: Path) -> dict[str, Any]:
    """Read a file that `save` wrote; pickled code in it is refused, not run.

    Raises:
        FileError: The file is missing, damaged, or holds anything else than tensors and plain values.
    """
    if not path.is_file():
        raise FileError(path, "no such checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise FileError(path, f"no readable checkpoint of tensors and plain values: {reason}") from error
    if not isinstance(content, dict):
        raise FileError(path, f"expected a mapping, found {type(content).__name__}")
    return content


class ModelFile(Settings):
    """A trained backbone, with what is needed to build it again."""

    format: Literal["noisebench-model-1"] = "noisebench-model-1"
    backbone: str
    embedding_size: int = Field(ge=1, le=1 << 16)
    image_size: tuple[Annotated[int, Field(ge=1, le=4096)], Annotated[int, Field(ge=1, le=4096)]]
    state: dict[str, Any]


class TrainedModel(NamedTuple):
    """A backbone with its weights, and the height and width of the images it takes."""

    backbone: nn.Module
    image_size: tuple[int, int]


def save_model(path: Path, backbone: nn.Module, *, name: str, embedding_size: int, image_size: tuple[int, int]) -> None:
    """Write a trained backbone."""
    content = ModelFile(
        backbone=name, embedding_size=embedding_size, image_size=image_size, state=dict(backbone.state_dict())
    )
    save(path, dict(content))


def load_model(path: Path, backbone: str | None = None) -> TrainedModel:
    """Build the backbone of a file that `save_model` wrote, or of a bare state dict.

    Args:
        path: The file.
        backbone: The name of a bare state dict's backbone, which such a file does not tell. Its embeddings have 512
            dimensions, its images 112x112 pixels.

    Raises:
        FileError: It is no such file, or its weights do not fit its backbone.
        UserError: There is no backbone of that name.
    """
    content = load(path)
    if "format" not in content:
        if backbone is None:
            raise FileError(path, "is a bare state dict, which does not tell its backbone", "name it, e.g. iresnet50")
        return TrainedModel(load_weights(backbones.create(backbone), content, path), (112, 112))
    try:
        model = ModelFile.model_validate(content)
    except ValidationError as error:
        raise FileError(path, f"no model file of noisebench: {explain(error, ModelFile)}") from error
    built = backbones.create(model.backbone, embedding_size=model.embedding_size, image_size=model.image_size)
    return TrainedModel(load_weights(built, model.state, path), model.image_size)


def load_weights(backbone: nn.Module, state: dict[str, Any], path: Path) -> nn.Module:
    """Load a state dict that must fit exactly, and give the backbone.

    Raises:
        FileError: A name or a shape differs; the first is given.
    """
    try:
        backbone.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise FileError(path, f"weights do not fit the backbone: {lines[min(1, len(lines) - 1)]}") from error
    return backbone
