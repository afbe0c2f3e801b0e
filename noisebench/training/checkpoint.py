"""Model files: what a stopped run goes on from, and what a finished one leaves. Tensors and plain values only."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from noisebench import backbones
from noisebench.errors import FileError
from noisebench.files import whole_file

CHECKPOINT_FILE = "checkpoint.pt"
MODEL_FILE = "model.pt"
MODEL_FORMAT = "noisebench-model-1"


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values, whole or not at all."""
    with whole_file(path) as temporary:
        torch.save(content, temporary)


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


def save_model(path: Path, backbone: nn.Module, *, name: str, embedding_size: int, image_size: tuple[int, int]) -> None:
    """Write a trained backbone with what is needed to build it again."""
    save(
        path,
        {
            "format": MODEL_FORMAT,
            "backbone": name,
            "embedding_size": embedding_size,
            "image_size": list(image_size),
            "state": backbone.state_dict(),
        },
    )


def load_model(path: Path, backbone: str | None = None) -> nn.Module:
    """Build the backbone of a file that `save_model` wrote, or of a bare state dict.

    Args:
        path: The file.
        backbone: The name of a bare state dict's backbone, which such a file does not tell. Its embeddings have 512
            dimensions, its images 112x112 pixels.

    Raises:
        FileError: It is no such file, or its weights do not fit its backbone.
    """
    content = load(path)
    if content.get("format") == MODEL_FORMAT:
        height, width = content["image_size"]
        model = backbones.create(
            content["backbone"], embedding_size=content["embedding_size"], image_size=(height, width)
        )
        load_weights(model, content["state"], path)
    elif backbone is not None:
        model = backbones.create(backbone)
        load_weights(model, content, path)
    else:
        raise FileError(path, "is a bare state dict, which does not tell its backbone", "name it, e.g. iresnet50")
    return model


def load_weights(backbone: nn.Module, state: dict[str, Any], path: Path) -> None:
    """Load a state dict that must fit exactly.

    Raises:
        FileError: A name or a shape differs; the first is given.
    """
    try:
        backbone.load_state_dict(state)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise FileError(path, f"weights do not fit the backbone: {lines[min(1, len(lines) - 1)]}") from error
