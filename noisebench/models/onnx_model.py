"""ONNX files as backbones, run by onnxruntime on the CPU.

An ONNX file is a program, and is not trusted: weights beside it must lie in its own folder, and every tensor of the
graph must, for one image, have a size that is known before it runs and is bounded. Images are given to it one at a time
for that reason, which on a CPU costs a few per cent.

Such a file declares its own sizes of images and embeddings. Colours are RGB unless the file says otherwise, as those
that `noisebench.models.export` writes do. A graph that begins by scaling the pixels itself, as insightface's of MXNet
times do, is given the pixels.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from noisebench.config import explain
from noisebench.errors import FileError, UserError
from noisebench.evaluation.result import Preprocessing
from noisebench.models._onnx_checks import check_weights, embedding_size_of, image_size_of, one_line
from noisebench.models.trained import TrainedModel

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

METADATA_KEY = "noisebench"
MOST_BYTES = 2 << 30
_OWN_SCALING_WITHIN = 8  # nodes, as insightface looks for it


class OnnxBackbone(nn.Module):
    """A graph as a module: images, float [B, 3, H, W], to raw embeddings [B, D]; not to be trained.

    Args:
        session: Of onnxruntime.
        one_at_a_time: Whether to give it single images, for which alone the sizes of its tensors were checked.
        takes_pixels: Whether it scales 0..255 itself.
    """

    def __init__(self, session: Any, *, one_at_a_time: bool = False, takes_pixels: bool = False) -> None:
        super().__init__()
        self._session = session
        self._input = session.get_inputs()[0].name
        self._one_at_a_time = one_at_a_time
        self._takes_pixels = takes_pixels

    def forward(self, images: Tensor) -> Tensor:
        """Raw embeddings [B, D], on the device of the images."""
        batch = images.detach().cpu().float().contiguous()
        if self._takes_pixels:
            batch = batch * 127.5 + 127.5
        parts = torch.split(batch, 1) if self._one_at_a_time else (batch,)
        outputs = [torch.from_numpy(self._session.run(None, {self._input: part.numpy()})[0]) for part in parts]
        return torch.cat(outputs).to(images.device)


def read(path: Path) -> TrainedModel:
    """Open an ONNX file.

    Raises:
        FileError: It is damaged or hostile, or no backbone: one image tensor in, one embedding out.
        UserError: The extra ``onnx`` is not installed.
    """
    model = _load(path)
    check_weights(path, model)
    image_size = image_size_of(path, model.graph)
    embedding_size = embedding_size_of(path, model, image_size)
    backbone = OnnxBackbone(session(path), one_at_a_time=True, takes_pixels=_scales_itself(model.graph))
    return TrainedModel(path.stem, backbone, embedding_size, _preprocessing(path, model, image_size))


def files(path: Path) -> list[Path]:
    """An ONNX file, and those beside it that hold its weights.

    Raises:
        FileError: As `read`.
        UserError: The extra ``onnx`` is not installed.
    """
    return [path, *sorted(check_weights(path, _load(path)))]


def session(path: Path) -> Any:
    """An onnxruntime session on the CPU, with as many threads as torch has.

    Raises:
        FileError: onnxruntime refuses the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what is fatal is raised besides
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints some of what it raises
            return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base
        raise FileError(path, f"onnxruntime refuses it: {one_line(error)}") from error


def need_onnx() -> Any:
    """The package onnx, made sure to come with onnxruntime.

    Raises:
        UserError: One is not installed.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UserError(f"ONNX files need onnx and onnxruntime ({error}): pip install 'noisebench[onnx]'") from error
    return onnx


def _load(path: Path) -> ModelProto:
    """The graph, with the weights that are in the file itself."""
    onnx = need_onnx()
    if path.stat().st_size > MOST_BYTES:
        raise FileError(path, f"larger than {MOST_BYTES} bytes, which no ONNX file is")
    try:
        model: ModelProto = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's errors have no common base, and change with its versions
        raise FileError(path, f"no readable ONNX file: {one_line(error)}") from error
    return model


def _scales_itself(graph: GraphProto) -> bool:
    """Whether a graph begins with a subtraction and a multiplication, which is how insightface tells."""
    return {"Sub", "Mul"} <= {node.op_type for node in graph.node[:_OWN_SCALING_WITHIN]}


def _preprocessing(path: Path, model: ModelProto, image_size: tuple[int, int]) -> Preprocessing:
    told = next((entry.value for entry in model.metadata_props if entry.key == METADATA_KEY), None)
    try:
        channels = json.loads(told)["channels"] if told else "rgb"
        return Preprocessing(image_size=image_size, channels=channels)
    except ValidationError as error:
        raise FileError(path, f"its metadata are not noisebench's: {explain(error, Preprocessing)}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileError(path, "its metadata are not noisebench's: expected a mapping with 'channels'") from error
