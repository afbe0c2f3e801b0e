"""The options of a training step: what they must not change, and what they must."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from noisebench import methods
from noisebench.data.loader import Batch
from noisebench.data.sampler import BatchSampler
from noisebench.errors import UserError
from noisebench.training.distributed import Process
from noisebench.training.schedule import Schedule
from noisebench.training.settings import TrainingSettings
from noisebench.training.step import Step
from noisebench.training.weight_average import WeightAverage
from tests.training import small as runs
from tests.training.small import STEPS_PER_EPOCH, Small
from tests.training.test_resume import check_alike

CLASSES, BATCH, SIZE = 5, 12, 8
CPU = Process(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.write_data(tmp_path_factory.mktemp("data"))


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.PReLU(4), nn.Flatten(), nn.Linear(36, 6))

    def forward(self, images: Tensor) -> Tensor:
        embeddings: Tensor = self.layers(images)
        return embeddings


def make_step(process: Process = CPU, method: str = "arcface", **training: Any) -> Step:
    """Of a backbone without batch statistics."""
    torch.manual_seed(0)
    backbone = Backbone()
    settings = TrainingSettings(epochs=1, batch_size=BATCH, schedule=Schedule(learning_rate=0.1), **training)
    head = methods.create(method, num_classes=CLASSES, embedding_size=6, scale=8.0)
    return Step(settings, backbone, head, process, enter=lambda phase: None)


def make_batch(device: str = "cpu") -> Batch:
    drawn = torch.Generator().manual_seed(1)
    images = torch.randint(256, (BATCH, SIZE, SIZE, 3), generator=drawn, dtype=torch.uint8)
    labels = torch.randint(CLASSES, (BATCH,), generator=drawn)
    if device == "cuda":
        images, labels = images.pin_memory(), labels.pin_memory()
    return Batch(torch.arange(BATCH), images, labels, labels)


def weights(step: Step) -> Iterator[tuple[str, Tensor]]:
    yield from step.backbone.named_parameters()
    yield from step.head.named_parameters()


@pytest.mark.parametrize("parts", [2, 3, 12])
@pytest.mark.parametrize("method", ["softmax", "arcface", "boundaryface", "gce"])
def test_the_gradients_of_parts_are_those_of_the_batch(method: str, parts: int) -> None:
    whole, cut = make_step(method=method), make_step(method=method, accumulate=parts)
    batch = make_batch()
    expected_loss, expected_rows = whole(batch, number=0, learning_rate=0.0, seed=0)
    loss, rows = cut(batch, number=0, learning_rate=0.0, seed=0)
    torch.testing.assert_close(loss, expected_loss)
    torch.testing.assert_close(rows["cosine_label"], expected_rows["cosine_label"])
    torch.testing.assert_close(rows["used_label"], expected_rows["used_label"])
    for (name, one), (_, other) in zip(weights(cut), weights(whole), strict=True):
        assert one.grad is not None
        torch.testing.assert_close(one.grad, other.grad, msg=name)


def test_a_head_that_samples_its_classes_refuses_parts() -> None:
    head = methods.create("arcface", num_classes=CLASSES, embedding_size=6, sample_rate=0.5)
    settings = TrainingSettings(epochs=1, batch_size=BATCH, accumulate=2)
    with pytest.raises(UserError, match=r"accumulate is 2 and sample_rate is 0\.5"):
        Step(settings, nn.Flatten(), head, CPU, enter=lambda phase: None)


def test_parts_that_do_not_divide_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size 12 cannot be cut into 'accumulate' 5 parts"):
        TrainingSettings(epochs=1, batch_size=12, accumulate=5)


def test_the_average_follows_its_formula() -> None:
    layer = nn.BatchNorm1d(3)
    average = WeightAverage(layer, decay=0.5)
    generator = np.random.default_rng(0)
    expected = {"weight": np.ones(3), "running_mean": np.zeros(3)}
    for step in range(12):
        for name, mean in expected.items():
            value = generator.normal(size=3)
            layer.state_dict()[name].copy_(torch.from_numpy(value))
            decay = min(0.5, (1 + step) / (10 + step))
            expected[name] = decay * mean + (1 - decay) * value
        layer.state_dict()["num_batches_tracked"].fill_(step)
        average.update(step)
    average.put_into_module()
    for name, mean in expected.items():
        np.testing.assert_allclose(layer.state_dict()[name].numpy(), mean, rtol=1e-5)
    assert layer.num_batches_tracked is not None
    assert int(layer.num_batches_tracked) == 11


def test_a_run_with_averaged_weights_and_parts_goes_on_and_ends_with_the_average(data: Path, tmp_path: Path) -> None:
    whole, stopped = (
        Small(data, tmp_path / name, epochs=2, dropout=0.3, training={"ema": 0.9, "accumulate": 2})
        for name in ("whole", "stopped")
    )
    runs.train(whole)
    runs.train(stopped, stop_after=STEPS_PER_EPOCH + 5)
    trained = runs.train(stopped)
    check_alike(stopped.folder, whole.folder)
    saved = runs.tensors(whole.folder)
    for name, value in trained.backbone.state_dict().items():
        assert torch.equal(value, saved[f"average.{name}"]), name
        assert value.numel() == 1 or not torch.equal(value, saved[f"backbone.{name}"]), name


def _leave_gradients(process: Process, folder: Path) -> None:
    sampler = BatchSampler(
        num_rows=BATCH, batch_size=BATCH, seed=0, parts=3, rank=process.rank, world_size=process.world_size
    )
    rows = torch.from_numpy(sampler.positions(0))
    batch, step = make_batch(), make_step(process, accumulate=3)
    share = Batch(rows, batch.images[rows], batch.labels[rows], batch.true_labels[rows])
    step(share, number=0, learning_rate=0.0, seed=0)
    torch.save({name: weight.grad for name, weight in weights(step)}, folder / f"{process.rank}.pt")


def test_the_gradients_of_parts_are_averaged_over_processes(tmp_path: Path) -> None:
    processes = runs.start(2, _leave_gradients, tmp_path)
    whole = make_step()
    whole(make_batch(), number=0, learning_rate=0.0, seed=0)
    expected = {name: weight.grad for name, weight in weights(whole)}
    for rank, process in enumerate(processes):
        process.join(120)
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt"), expected)


def test_a_compiled_network_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the graph that is compiled, but no compiler behind it, which would take most of a minute."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    one, other = make_step(), make_step(compile=True)
    assert other.is_compiled
    for number in range(2):
        expected, _ = one(make_batch(), number=number, learning_rate=0.1, seed=0)
        loss, _ = other(make_batch(), number=number, learning_rate=0.1, seed=0)
        torch.testing.assert_close(loss, expected)
    assert other.backbone.state_dict().keys() == one.backbone.state_dict().keys()


def test_where_nothing_can_be_compiled_it_goes_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no C++ compiler\nhere")

    monkeypatch.setattr(torch, "compile", fail)
    with pytest.warns(UserWarning, match="^'compile' is on, but .* here: no C\\+\\+ compiler; going on without$"):
        step = make_step(compile=True)
    assert not step.is_compiled
    step(make_batch(), number=0, learning_rate=0.1, seed=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("method", methods.names())
def test_a_step_waits_for_no_gpu(method: str) -> None:
    step = make_step(Process(0, 1, torch.device("cuda", 0)), method, ema=0.9, accumulate=2)
    batch = make_batch("cuda")
    step(batch, number=0, learning_rate=0.1, seed=0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(batch, number=1, learning_rate=0.1, seed=1)
        step.head.monitored()
    finally:
        torch.cuda.set_sync_debug_mode("default")
