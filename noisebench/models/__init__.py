"""Trained models: those of finished runs, and those published by others.

`open_model` opens any of them. What each of its formats is, and which order of colours it stands for, is in the file of
its own: `model_file` (ours, ``.pt`` and ``.safetensors``), `published` (arcface_torch, AdaFace) and `onnx_model`.
`export` writes the formats others read.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from noisebench.errors import FileError
from noisebench.evaluation.result import Channels
from noisebench.files import sha256_of
from noisebench.formats.torch_archive import TorchArchive
from noisebench.models import model_file, onnx_model, published
from noisebench.models.trained import TrainedModel


def open_model(path: Path, backbone: str | None = None, channels: Channels | None = None) -> TrainedModel:
    """Open a checkpoint of any format.

    Args:
        path: A run's folder; the ``model.pt`` or ``.safetensors`` file of a run; a state dict of arcface_torch; a
            checkpoint of AdaFace; or an ``.onnx`` file.
        backbone: The name of its backbone. Needed only for a state dict whose tensors do not tell it.
        channels: The order of colours it was trained with; default: what its format stands for.

    Raises:
        FileError: The file is missing, damaged or hostile, or its weights do not fit the backbone.
        UserError: There is no backbone of that name, or an extra is not installed.
    """
    model = _open(_file(path), backbone)
    if channels is None:
        return model
    return dataclasses.replace(model, preprocessing=model.preprocessing.model_copy(update={"channels": channels}))


def fingerprint(path: Path) -> str:
    """What tells the weights of a checkpoint from all others: SHA-256 over its file, and those it keeps them in.

    Raises:
        FileError: A file is missing, or damaged.
    """
    file = _file(path)
    files = onnx_model.files(file) if file.suffix == ".onnx" else [file]
    return hashlib.sha256(" ".join(map(sha256_of, files)).encode()).hexdigest()


def _file(path: Path) -> Path:
    file = path / model_file.MODEL_FILE if path.is_dir() else path
    if not file.is_file():
        raise FileError(file, "no such checkpoint", "give a run's folder, or a .pt, .ckpt, .onnx or .safetensors file")
    return file


def _open(file: Path, backbone: str | None) -> TrainedModel:
    if file.suffix == ".onnx":
        return onnx_model.read(file)
    if file.suffix == ".safetensors":
        return model_file.read_safetensors(file)
    with TorchArchive(file) as archive:
        read = model_file.read_archive if "format" in archive.content else published.read_archive
        return read(file, archive, backbone)
