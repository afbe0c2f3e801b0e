"""What every backbone must do; a file dropped into ``noisebench/backbones`` is tested by being there.

Of networks made of the same kinds of layers only the smallest is run; the sizes of all are checked.
"""

from __future__ import annotations

import importlib.util
import io
import itertools
import re

import pytest
import torch
from torch import Tensor, nn

from noisebench import backbones
from noisebench.backbones._layers import Stage
from noisebench.errors import UserError
from tests.backbones import torchvision_operators

EMBEDDING_SIZE, IMAGE_SIZE, SEED = 8, (16, 32), 5
LARGEST_RUN = 60.0  # million parameters: larger ones are never the smallest of their kind
LARGEST_COMPUTED = 1000.0  # of iresnet2060 only the parameters are looked at
TIMM = "timm:test_resnet"  # the smallest that timm has for its own tests


def documented_millions(name: str) -> float:
    found = re.search(r"([\d,.]+) million parameters", backbones.descriptions()[name])
    assert found, f"the first line of {name}'s docstring gives no number of parameters"
    return float(found[1].replace(",", ""))


def without_numbers(name: str) -> nn.Module:
    with torch.device("meta"):
        return backbones.create(name, embedding_size=default_size(name))


def default_size(name: str) -> int:
    return 128 if name == "small_ir" else 512


def kinds_of_layers(network: nn.Module) -> frozenset[type]:
    return frozenset(type(layer) for layer in network.modules())


def smallest_of_each_kind() -> dict[frozenset[type], str]:
    """Leaves out those whose layers another one has too."""
    smallest: dict[frozenset[type], str] = {}
    for name in sorted(backbones.names(), key=documented_millions):
        if documented_millions(name) < LARGEST_RUN:
            smallest.setdefault(kinds_of_layers(without_numbers(name)), name)
    return {kinds: name for kinds, name in smallest.items() if not any(kinds < others for others in smallest)}


SMALLEST = smallest_of_each_kind()
INSTALLED = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")


def create(name: str, seed: int = SEED, checkpointing: bool = False) -> nn.Module:
    return backbones.create(
        name, embedding_size=EMBEDDING_SIZE, image_size=IMAGE_SIZE, seed=seed, checkpointing=checkpointing
    )


def images(size: int) -> Tensor:
    return torch.rand(size, 3, *IMAGE_SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1


def shorten(network: nn.Module) -> None:
    """Of blocks in a row that keep their input's shape leave the first: more of them cost time and show nothing."""
    keeps_shape: dict[nn.Module, bool] = {}
    stages = [layer for layer in network.modules() if isinstance(layer, Stage)]
    for block in itertools.chain.from_iterable(stages):
        block.register_forward_hook(lambda block, x, y: keeps_shape.update({block: x[0].shape == y.shape}))
    with torch.no_grad():
        network.eval()(images(1))
    for stage in stages:
        repeated = [keeps_shape[block] and keeps_shape[previous] for previous, block in itertools.pairwise(stage)]
        for number in reversed(range(len(repeated))):
            if repeated[number]:
                del stage[number + 1]
    for block in keeps_shape:
        block._forward_hooks.clear()


@pytest.fixture(params=[*SMALLEST.values(), pytest.param(TIMM, marks=INSTALLED)], scope="module")
def name(request: pytest.FixtureRequest) -> str:
    if request.param == TIMM:
        torchvision_operators.define_missing()
    return str(request.param)


@pytest.fixture(scope="module")
def backbone(name: str) -> nn.Module:
    return create(name)


@pytest.fixture(scope="module")
def trained(name: str) -> nn.Module:
    """A backbone to evaluate, shortened, whose BN has seen images: else features grow from block to block."""
    network = create(name)
    shorten(network)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # so that one batch sets the statistics
    network.requires_grad_(False).train()(images(4))
    return network.eval()


@pytest.mark.parametrize("every", backbones.names())
def test_is_of_the_documented_size(every: str) -> None:
    network = without_numbers(every).eval()
    millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert millions == pytest.approx(documented_millions(every), abs=0.05 if millions > 10 else 0.005)
    assert any(kinds_of_layers(network) <= kinds for kinds in SMALLEST)
    if millions < LARGEST_COMPUTED:
        assert network(torch.empty(2, 3, 112, 112, device="meta")).shape == (2, default_size(every))


def test_the_seed_alone_decides_the_weights(name: str, backbone: nn.Module) -> None:
    before = torch.random.get_rng_state()
    weights, same, other = (dict(net.named_parameters()) for net in (backbone, create(name), create(name, seed=6)))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(weights[key], same[key]) for key in weights)
    assert any(not torch.equal(weights[key], other[key]) for key in weights)


def test_embeds_and_learns(name: str, backbone: nn.Module) -> None:
    embeddings = backbone.train()(images(4))
    assert embeddings.shape == (4, EMBEDDING_SIZE)
    directions = torch.randn(4, EMBEDDING_SIZE, generator=torch.Generator().manual_seed(1))
    (embeddings * directions).sum().backward()  # not the plain sum, which BN has fixed already
    for key, parameter in backbone.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
            assert bool(parameter.grad.isfinite().all()), key
            assert name == TIMM or bool(parameter.grad.any()), key  # timm's residual branches begin at zero


def test_checkpointing_changes_neither_gradients_nor_statistics(name: str) -> None:
    if name == TIMM:
        pytest.skip("checkpointing is for our own networks")
    networks = [create(name), create(name, checkpointing=True)]
    for network in networks:
        shorten(network)
        network.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(2)  # what is dropped
            network(images(4))[0].sum().backward()
    plain, saving = networks
    for key, parameter in plain.named_parameters():
        torch.testing.assert_close(saving.get_parameter(key).grad, parameter.grad, msg=key)
    torch.testing.assert_close(dict(saving.named_buffers()), dict(plain.named_buffers()))


def test_a_face_is_embedded_alike_in_any_company_and_layout(trained: nn.Module) -> None:
    together = trained(images(4))
    torch.testing.assert_close(trained(images(4)[:1]), together[:1], rtol=1e-3, atol=1e-3)
    channels_last = images(4).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(trained(channels_last), together, rtol=1e-3, atol=1e-3)
    network = trained.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    torch.testing.assert_close(network(channels_last), together, rtol=1e-3, atol=1e-3)


def test_torchscript(trained: nn.Module) -> None:
    stored = io.BytesIO()
    torch.jit.save(torch.jit.script(trained), stored)
    stored.seek(0)
    restored = torch.jit.load(stored)  # type: ignore[no-untyped-call]  # torch's own, as the others below
    torch.testing.assert_close(restored(images(4)), trained(images(4)), rtol=1e-4, atol=1e-4)


def test_onnx(trained: nn.Module) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    batch = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(trained, (images(2),), dynamo=True, dynamic_shapes=batch, optimize=False, verbose=False)
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    (found,) = session.run(None, {session.get_inputs()[0].name: images(4).numpy()})
    torch.testing.assert_close(torch.from_numpy(found), trained(images(4)), rtol=1e-4, atol=1e-4)


def test_too_small_sizes(name: str) -> None:
    with pytest.raises(UserError, match="embedding_size is 0"):
        backbones.create(name, embedding_size=0)
    with pytest.raises(UserError, match=r"image_size is \(112, 8\)"):
        backbones.create(name, image_size=(112, 8))


def test_unknown_name() -> None:
    with pytest.raises(UserError, match="unknown backbone 'iresnet5': did you mean 'iresnet50'"):
        backbones.create("iresnet5")
