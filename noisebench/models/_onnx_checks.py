"""Checks of an ONNX file, without running it: where its weights lie, and how large each of its tensors becomes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from noisebench.errors import FileError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

MOST_ELEMENTS = 1 << 29
"""Of all tensors of the graph together, for one image: 2 GiB of float32. iresnet2060 has 0.42 billion."""
MOST_NODES = 100_000
_SMALL = 1024  # elements; the sizes of others are made of fewer


def check_weights(path: Path, model: ModelProto) -> set[Path]:
    """Refuse weights that lie elsewhere than in the file or, whole, in another one of its folder.

    Returns:
        The other files.

    Raises:
        FileError: They do, or there is more than a plain graph.
    """
    from onnx import TensorProto

    files = set()
    for tensor in _tensors(path, model):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        told = {entry.key: entry.value for entry in tensor.external_data}
        place = PurePosixPath(told.get("location", ""))
        file = path.parent / place
        if len(place.parts) != 1 or place.parts[0] in ("..", "/") or "\\" in str(place) or file.is_symlink():
            raise FileError(path, f"its weights are said to be at '{str(place)[:100]}', which is not in its folder")
        offset, length = (_whole_number(told.get(key, "0")) for key in ("offset", "length"))
        if not file.is_file() or offset is None or length is None or offset + length > file.stat().st_size:
            raise FileError(path, f"its weights are said to be in '{place}', where they are not, or not all of them")
        files.add(file)
    return files


def _whole_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _tensors(path: Path, model: ModelProto) -> Iterator[TensorProto]:
    """All tensors of a model whose graph is plain: without graphs inside of it, functions, or sparse weights."""
    graph = model.graph
    if len(graph.node) > MOST_NODES:
        raise FileError(path, f"{len(graph.node)} nodes; expected at most {MOST_NODES}")
    if model.functions or model.training_info or graph.sparse_initializer:
        raise FileError(path, "it has functions, training graphs or sparse weights, which no backbone needs")
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs or attribute.HasField("sparse_tensor"):
                raise FileError(path, f"its node {node.op_type[:40]} has a graph inside, which no backbone needs")
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t


def image_size_of(path: Path, graph: GraphProto) -> tuple[int, int]:
    """Height and width of the images the graph takes.

    Raises:
        FileError: It takes something else than images.
    """
    inputs = _inputs(graph)
    shape = [side.dim_value for side in inputs[0].type.tensor_type.shape.dim] if len(inputs) == 1 else []
    match shape:
        case [0 | 1, 3, int(height), int(width)] if 0 < height <= 4096 and 0 < width <= 4096:
            return height, width
    raise FileError(path, f"{len(inputs)} inputs, the first {shape}; expected one, [any or 1, 3, height, width]")


def embedding_size_of(path: Path, model: ModelProto, image_size: tuple[int, int]) -> int:
    """Work out the size of every tensor of the graph for one image; give that of the embedding.

    The model is changed to that end: of its large weights only the sizes stay, so that no copies of them are made.

    Raises:
        FileError: The graph is not valid, a size is too large or cannot be told, or the output is no vector.
    """
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) > MOST_ELEMENTS:
            raise FileError(path, f"its weights '{tensor.name[:60]}' have over {MOST_ELEMENTS} elements")
        if math.prod(tensor.dims) > _SMALL:
            tensor.ClearField("raw_data")
    sizes = _infer(path, model, image_size)
    num_elements = 0
    for name in (name for node in model.graph.node for name in node.output if name):
        size = sizes.get(name)
        if size is None:
            raise FileError(path, f"the size of its tensor '{name[:60]}' cannot be told before it runs")
        num_elements += math.prod(size)
        if num_elements > MOST_ELEMENTS:
            raise FileError(path, f"its tensors up to '{name[:60]}' have over {MOST_ELEMENTS} elements for one image")
    match [sizes.get(value.name) for value in model.graph.output]:
        case [(1, int(embedding_size))] if embedding_size > 0:
            return embedding_size
    raise FileError(path, "it does not make one vector of one image")


def _infer(path: Path, model: ModelProto, image_size: tuple[int, int]) -> dict[str, tuple[int, ...] | None]:
    """The sizes of all tensors for one image, whatever the file says of them; None where one cannot be told."""
    from onnx import shape_inference

    graph = model.graph
    (images,) = _inputs(graph)
    for side, length in zip(images.type.tensor_type.shape.dim, (1, 3, *image_size), strict=True):
        side.dim_value = length
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
    except Exception as error:  # onnx raises errors of several kinds, without a common base
        raise FileError(path, f"no valid graph: {one_line(error)}") from error
    return {value.name: _shape(value) for value in (*inferred.value_info, *inferred.output)}


def _inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """The inputs that are no weights."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def _shape(value: ValueInfoProto) -> tuple[int, ...] | None:
    """The sides of a tensor, or None where one is unknown."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape") or not all(side.HasField("dim_value") for side in tensor.shape.dim):
        return None
    return tuple(side.dim_value for side in tensor.shape.dim)


def one_line(error: Exception) -> str:
    """What a library says, in short."""
    return " ".join(str(error).split())[:200]
