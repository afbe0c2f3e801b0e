"""Model files: what a finished run leaves, and its release as ``.safetensors``. Tensors and plain values only.

Version 2 of the format holds the order of colours and the scaling; in files of version 1, which do not, they are RGB
and the usual one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, ValidationError
from torch import nn

from noisebench.config import Settings, explain
from noisebench.errors import FileError, UserError
from noisebench.evaluation.result import Channels, Preprocessing
from noisebench.files import whole_file
from noisebench.formats.torch_archive import TorchArchive, tensors_in
from noisebench.models.trained import TrainedModel, build

MODEL_FILE = "model.pt"
FORMAT = "noisebench-model-2"
Side = Annotated[int, Field(ge=1, le=4096)]


class Header(Settings):
    """What is needed to build the backbone of a model file again."""

    format: Literal["noisebench-model-1", "noisebench-model-2"] = "noisebench-model-2"
    backbone: str
    embedding_size: int = Field(ge=1, le=1 << 16)
    image_size: tuple[Side, Side]
    channels: Channels = "rgb"
    scaling: Literal["(x / 255 - 0.5) / 0.5"] = "(x / 255 - 0.5) / 0.5"

    @classmethod
    def of(cls, model: TrainedModel) -> Header:
        """The header of a model's file."""
        seen = model.preprocessing
        return cls(
            backbone=model.name,
            embedding_size=model.embedding_size,
            image_size=seen.image_size,
            channels=seen.channels,
            scaling=seen.scaling,
        )

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to the pixels."""
        return Preprocessing(image_size=self.image_size, channels=self.channels, scaling=self.scaling)


def save_model(path: Path, backbone: nn.Module, *, name: str, embedding_size: int, image_size: tuple[int, int]) -> None:
    """Write a backbone trained on RGB images, whole or not at all."""
    header = Header(backbone=name, embedding_size=embedding_size, image_size=image_size)
    content = {**header.model_dump(), "state": dict(backbone.state_dict())}
    with whole_file(path) as temporary, temporary.open("wb") as stream:  # given a path, torch hides a full disk
        torch.save(content, stream)


def read_archive(path: Path, archive: TorchArchive, backbone: str | None) -> TrainedModel:
    """Build the model of a file that `save_model` wrote.

    Raises:
        FileError: It is no such file, has another backbone than the one named, or its weights do not fit it.
        UserError: There is no such backbone.
    """
    content = dict(archive.content)
    stored = tensors_in(content.pop("state", None))
    if stored is None:
        raise FileError(path, "no model file of noisebench: key 'state' is no mapping of names to tensors")
    header = _header(path, content)
    if backbone not in (None, header.backbone):
        raise FileError(path, f"its backbone is {header.backbone}, not {backbone}", "leave the name out")
    shapes = {name: tensor.shape for name, tensor in stored.items()}
    return build(
        path, header.backbone, header.preprocessing, header.embedding_size, shapes, lambda: archive.tensors(stored)
    )


def write_safetensors(path: Path, model: TrainedModel, training_record: str | None) -> None:
    """Write a model as safetensors, whole or not at all.

    The metadata hold the header under ``noisebench``, as JSON, and what made the model under ``training_record``.

    Args:
        path: The file.
        model: The model.
        training_record: The hash of the run that trained it, if known.

    Raises:
        UserError: safetensors is not installed.
    """
    _need_safetensors()
    from safetensors.torch import save as serialised

    metadata = {"format": "pt", "noisebench": Header.of(model).model_dump_json()}
    if training_record is not None:
        metadata["training_record"] = training_record
    state = {name: value.contiguous() for name, value in model.backbone.state_dict().items()}
    with whole_file(path) as temporary:
        temporary.write_bytes(serialised(state, metadata))  # given a path, it would make a private file


def read_safetensors(path: Path) -> TrainedModel:
    """Build the model of a file that `write_safetensors` wrote.

    Raises:
        FileError: It is no such file, or its weights do not fit its backbone.
        UserError: safetensors is not installed, or there is no such backbone.
    """
    _need_safetensors()
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = _header(path, _json(path, (file.metadata() or {}).get("noisebench")))
            names = list(file.keys())
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
            return build(
                path,
                header.backbone,
                header.preprocessing,
                header.embedding_size,
                shapes,
                lambda: {name: file.get_tensor(name) for name in names},
            )
    except (SafetensorError, OSError) as error:
        raise FileError(path, f"no readable safetensors file: {str(error)[:200]}") from error


def _header(path: Path, content: dict[str, Any]) -> Header:
    try:
        return Header.model_validate(content)
    except ValidationError as error:
        raise FileError(path, f"no model file of noisebench: {explain(error, Header)}") from error


def _json(path: Path, text: str | None) -> dict[str, Any]:
    try:
        content = json.loads(text or "")
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise FileError(path, "no release of noisebench: its metadata have no header", "export it with noisebench")
    return content


def _need_safetensors() -> None:
    try:
        import safetensors.torch  # noqa: F401
    except ImportError as error:
        raise UserError("safetensors files need safetensors: pip install 'noisebench[release]'") from error
