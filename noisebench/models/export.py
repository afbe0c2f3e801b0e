"""Write a model in a format that others read, and make sure that they read the same."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from noisebench.bench.record import RECORD_FILE, RunRecord
from noisebench.errors import FileError, UserError
from noisebench.files import whole_file
from noisebench.models import model_file
from noisebench.models.onnx_model import METADATA_KEY, OnnxBackbone, need_onnx, session
from noisebench.models.trained import TrainedModel
from noisebench.noise.counter import derive_seed

TOLERANCE = 1e-4
OPSET = 18
_BATCHES = (1, 2, 5)


def to_onnx(model: TrainedModel, path: Path) -> float:
    """Write a model as ONNX, for batches of any size, and compare it with torch.

    The model's header is in its metadata, under ``noisebench``.

    Args:
        model: The model, on the CPU.
        path: The file; whole, and as good as the model, or not at all.

    Returns:
        The largest difference between an output of onnxruntime and torch's, over batches of noise, as a part of the
        largest output where that is above 1. It is at most `TOLERANCE`.

    Raises:
        FileError: The difference is larger, or an output is not finite.
        UserError: The extra ``onnx`` is not installed, the model is no torch module, or cannot be exported.
    """
    need_onnx()
    if isinstance(model.backbone, OnnxBackbone):
        raise UserError(f"model '{model.name}' is an ONNX file already")
    with whole_file(path) as temporary:
        _write(model, temporary)
        return _largest_difference(model, temporary, path)


def to_safetensors(model: TrainedModel, path: Path, training_record: str | None) -> None:
    """Write a model as safetensors, whole or not at all; see `noisebench.models.model_file.write_safetensors`."""
    if isinstance(model.backbone, OnnxBackbone):
        raise UserError(f"model '{model.name}' is an ONNX file, whose weights have no names of a backbone")
    model_file.write_safetensors(path, model, training_record)


def training_record(checkpoint: Path) -> str | None:
    """The hash of the run that left a checkpoint; None where no record lies beside it.

    Raises:
        FileError: The record is damaged.
    """
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    return RunRecord.read(folder).hash if (folder / RECORD_FILE).is_file() else None


def _write(model: TrainedModel, path: Path) -> None:
    """Export by torch, with the header in the metadata."""
    import onnx

    images = torch.zeros(2, 3, *model.image_size)
    try:
        with _quiet():
            exported = torch.onnx.export(
                model.backbone.eval(),
                (images,),
                input_names=["images"],
                output_names=["embeddings"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                opset_version=OPSET,
                dynamo=True,
            )
        assert exported is not None
        proto = exported.model_proto
    except Exception as error:  # torch.export raises errors of every kind; the first line is the one that tells
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(f"backbone '{model.name}' cannot be exported: {reason}") from error
    header = model_file.Header.of(model).model_dump_json()
    proto.metadata_props.append(onnx.StringStringEntryProto(key=METADATA_KEY, value=header))
    path.write_bytes(proto.SerializeToString())


def _largest_difference(model: TrainedModel, written: Path, path: Path) -> float:
    """As `to_onnx` gives it, of what was written to be moved to ``path``."""
    backbone = OnnxBackbone(session(written))
    random = np.random.default_rng(derive_seed(0, "export"))
    largest = 0.0
    for size in _BATCHES:
        images = torch.from_numpy(random.uniform(-1, 1, (size, 3, *model.image_size)).astype(np.float32))
        with torch.inference_mode():
            expected, found = model.backbone(images), backbone(images)
        difference = float((expected - found).abs().max()) / max(1.0, float(expected.abs().max()))
        if not difference <= TOLERANCE:  # nor NaN
            raise FileError(path, f"not written: onnxruntime's output differs from torch's by {difference:.1e}")
        largest = max(largest, difference)
    return largest


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter prints and warns of: its outcome is checked."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
