"""ONNX files: exported ones open as the model they came from; hostile ones are refused before they run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from noisebench import backbones
from noisebench.errors import FileError, UserError
from noisebench.evaluation.result import Preprocessing
from noisebench.models import export, open_model
from noisebench.models.trained import TrainedModel

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - only where it is installed

SIDE = 4
SIZES = [None, 3, SIDE, SIDE]


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    """A backbone whose normalisations have seen something, trained on BGR."""
    backbone = backbones.create("small_ir", embedding_size=8, image_size=(32, 48), seed=3)
    backbone(torch.rand(4, 3, 32, 48, generator=torch.Generator().manual_seed(1)))
    return TrainedModel("small_ir", backbone.eval(), 8, Preprocessing(image_size=(32, 48), channels="bgr"))


def test_an_exported_model_opens_as_what_it_was(model: TrainedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    assert export.to_onnx(model, path) <= export.TOLERANCE
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    found = open_model(path)
    assert found.preprocessing == model.preprocessing
    assert found.embedding_size == 8
    for size in (1, 3):
        images = torch.rand(size, 3, 32, 48, generator=torch.Generator().manual_seed(size))
        with torch.inference_mode():
            torch.testing.assert_close(found.backbone(images), model.backbone(images), rtol=0, atol=1e-5)
    with pytest.raises(UserError, match="is an ONNX file already"):
        export.to_onnx(found, path)
    with pytest.raises(UserError, match="is an ONNX file, whose weights have no names"):
        export.to_safetensors(found, tmp_path / "a.safetensors", None)


class Restless(nn.Module):
    """Gives something else after it was exported: the second module of a list, a call later."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, images: Tensor) -> Tensor:
        factor = self.factor if torch.compiler.is_exporting() else 1.0
        return images.mean(dim=(2, 3)) * factor


@pytest.mark.parametrize(("factor", "written"), [(1 + 1e-6, True), (1 + 1e-2, False), (float("nan"), False)])
def test_an_export_that_differs_from_torch_is_not_written(factor: float, written: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    wrong = TrainedModel("small_ir", Restless(factor), 3, Preprocessing(image_size=(8, 8)))
    if written:
        export.to_onnx(wrong, path)
    else:
        with pytest.raises(FileError, match="not written: onnxruntime's output differs from torch's"):
            export.to_onnx(wrong, path)
    assert [file.name for file in tmp_path.iterdir()] == (["model.onnx"] if written else [])


def graph(
    nodes: list[Any],
    weights: dict[str, Any] | None = None,
    sizes: list[Any] = SIZES,
    output: str = "out",
    **options: Any,
) -> Any:
    """A model of one image tensor ``in`` and one output."""
    tensors = [
        value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value), name)
        for name, value in (weights or {}).items()
    ]
    images = helper.make_tensor_value_info("in", TensorProto.FLOAT, sizes)
    embeddings = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    made = helper.make_graph(nodes, "g", [images], [embeddings], tensors, **options)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def flatten(source: str = "in") -> Any:
    return helper.make_node("Flatten", [source], ["out"])


def external(**told: str) -> Any:
    """A graph one of whose weights lies elsewhere."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    for key, value in told.items():
        tensor.external_data.add(key=key, value=value)
    return graph([helper.make_node("Mul", ["in", "w"], ["a"]), flatten("a")], {"w": tensor})


def save(model: Any, folder: Path) -> Path:
    path = folder / "a.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_beside_the_file_are_read_and_those_elsewhere_are_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "w").write_bytes(np.float32(3).tobytes())
    (tmp_path / "a" / "w").write_bytes(bytes(4) + np.float32(2).tobytes())
    (tmp_path / "a" / "link").symlink_to(tmp_path / "w")
    images = torch.ones(2, 3, SIDE, SIDE)
    good = open_model(save(external(location="w", offset="4", length="4"), tmp_path / "a"))
    assert torch.equal(good.backbone(images), 2 * images.flatten(1))
    for told in (
        *({"location": place} for place in ("../w", str(tmp_path / "w"), "link", "b/../../w", "..", "", "C:\\w")),
        *({"location": "w", "offset": offset, "length": "4"} for offset in ("8", "-4", "x", "9" * 30)),
        {"location": "w", "length": "9" * 15},
        {"location": "missing"},
    ):
        with pytest.raises(FileError, match="its weights are said to be"):
            open_model(save(external(**told), tmp_path / "a"))


def large(operator: str, *inputs: str, **weights: Any) -> Any:
    node = helper.make_node(operator, list(inputs), ["a"])
    return graph([node, helper.make_node("ReduceMean", ["a"], ["b"], keepdims=1), flatten("b")], weights)


def doubled(times: int) -> Any:
    """Each node puts its input twice behind one another."""
    nodes = [helper.make_node("Concat", [f"a{n}", f"a{n}"], [f"a{n + 1}"], axis=1) for n in range(times)]
    return graph([helper.make_node("Identity", ["in"], ["a0"]), *nodes, flatten(f"a{times}")])


def many_large() -> Any:
    """Each tensor is a tenth of what is admitted for all."""
    nodes = [helper.make_node("Tile", ["in", "s"], [f"a{n}"]) for n in range(40)]
    total = helper.make_node("Sum", [f"a{n}" for n in range(40)], ["b"])
    return graph(
        [*nodes, total, helper.make_node("ReduceMean", ["b"], ["c"]), flatten("c")], {"s": np.array([1, 1, 1000, 1000])}
    )


def unknown_size() -> Any:
    """As many pixels as are bright, which only the image tells."""
    nodes = [helper.make_node("Cast", ["in"], ["yes"], to=TensorProto.BOOL)]
    nodes += [helper.make_node("Compress", ["in", "yes1"], ["a"]), helper.make_node("Unsqueeze", ["a", "first"], ["b"])]
    nodes.insert(1, helper.make_node("Reshape", ["yes", "flat"], ["yes1"]))
    return graph([*nodes, flatten("b")], {"flat": np.array([-1]), "first": np.array([0])})


def branching() -> Any:
    branch = graph([flatten()]).graph
    node = helper.make_node("If", ["yes"], ["out"], then_branch=branch, else_branch=branch)
    return graph([node], {"yes": np.array(True)})


def with_metadata(value: str) -> Any:
    made = graph([flatten()])
    helper.set_model_props(made, {"noisebench": value})
    return made


def with_function() -> Any:
    made = graph([flatten()])
    made.functions.append(helper.make_function("own", "F", ["x"], ["y"], [], [helper.make_opsetid("", 18)]))
    return made


HOSTILE: dict[str, tuple[Callable[[], Any], str]] = {
    "a tensor of 10^12 zeros": (
        lambda: large("ConstantOfShape", "s", s=np.array([10**6, 10**6])),
        "elements for one image",
    ),
    "an image spread 10^9 times": (
        lambda: large("Tile", "in", "s", s=np.array([1, 1, 10**5, 10**4])),
        "elements for one image",
    ),
    "an expanded image": (lambda: large("Expand", "in", "s", s=np.array([10**9, 1, 1, 1])), "elements for one image"),
    "a range": (
        lambda: large("Range", "a0", "b0", "c0", a0=np.float32(0), b0=np.float32(1e12), c0=np.float32(1)),
        "elements for one image",
    ),
    "40 large tensors": (
        many_large,
        "elements for one image",
    ),
    "40 doublings": (lambda: doubled(40), "elements for one image"),
    "a size that depends on the image": (unknown_size, "cannot be told before it runs"),
    "a branch": (branching, "has a graph inside"),
    "a function": (with_function, "it has functions"),
    "an operator of nobody": (
        lambda: graph([helper.make_node("Evil", ["in"], ["out"], domain="evil")]),
        "no valid graph",
    ),
    "an unknown input": (lambda: graph([flatten("other")]), "no valid graph"),
    "weights of a false size": (
        lambda: large("Mul", "in", "w", w=TensorProto(name="w", data_type=1, dims=[10**6, 10**6], raw_data=b"1234")),
        "its weights 'w' have over",
    ),
    "fewer weights than said": (
        lambda: large("Mul", "in", "w", w=TensorProto(name="w", data_type=1, dims=[2000, 1, 1, 1], raw_data=b"1234")),
        "onnxruntime refuses it",
    ),
    "no image": (lambda: graph([flatten()], sizes=[None, 1, SIDE, SIDE]), "expected one, "),
    "an image of 100,000 pixels a side": (
        lambda: graph([flatten()], sizes=[None, 3, 100_000, 100_000]),
        "expected one, ",
    ),
    "a batch of seven": (lambda: graph([flatten()], sizes=[7, 3, SIDE, SIDE]), "expected one, "),
    "no vector": (lambda: graph([helper.make_node("Relu", ["in"], ["out"])]), "does not make one vector of one image"),
    "metadata that are no mapping": (lambda: with_metadata("[" * 100_000), "its metadata are not noisebench's"),
    "metadata of another kind": (lambda: with_metadata('{"channels": "grey"}'), "key 'channels' is 'grey'"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_graph_is_one_line(what: str, tmp_path: Path) -> None:
    make, told = HOSTILE[what]
    with pytest.raises(FileError) as caught:
        open_model(save(make(), tmp_path))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\x08", b"\x0a\xff\xff\xff\xff\x0f", b"PK\x03\x04" * 9])
def test_what_is_no_onnx_file_is_one_line(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(data)
    with pytest.raises(FileError):
        open_model(tmp_path / "a.onnx")


def test_a_graph_for_single_images_takes_any_number(tmp_path: Path) -> None:
    single = open_model(save(graph([flatten()], sizes=[1, 3, SIDE, SIDE]), tmp_path))
    images = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    assert torch.equal(single.backbone(images), images.flatten(1))


def test_a_graph_that_scales_is_given_the_pixels(tmp_path: Path) -> None:
    nodes = [helper.make_node("Sub", ["in", "m"], ["a"]), helper.make_node("Mul", ["a", "s"], ["b"]), flatten("b")]
    model = open_model(save(graph(nodes, {"m": np.float32(127.5), "s": np.float32(1 / 128)}), tmp_path))
    pixels = torch.arange(3 * SIDE * SIDE).reshape(1, 3, SIDE, SIDE) * 5.0
    found = model.backbone((pixels / 255 - 0.5) / 0.5)
    torch.testing.assert_close(found, ((pixels - 127.5) / 128).flatten(1))


def test_colours_can_be_told(tmp_path: Path) -> None:
    path = save(graph([flatten()]), tmp_path)
    assert open_model(path).preprocessing == Preprocessing(image_size=(SIDE, SIDE), channels="rgb")
    assert dataclasses.replace(open_model(path, channels="bgr")).preprocessing.channels == "bgr"
