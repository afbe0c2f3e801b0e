"""The dry run: it counts as the bench does, its model of memory is what autograd keeps, and it leaves no trace."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from noisebench.bench import estimate
from noisebench.bench.estimate import memory_model, time_steps
from noisebench.bench.execute import build_trainer
from noisebench.bench.plan import plan
from noisebench.bench.request import Request
from noisebench.cli.app import app
from noisebench.training.distributed import Process
from noisebench.training.stopping import StopRequest
from noisebench.training.trainer import Trainer
from tests.tiny import SUITE, write_faces


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dry-run")
    write_faces(folder / "faces")
    (folder / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps enough to see that they are made, not how long they take."""
    monkeypatch.setattr(estimate, "SECONDS_OF_STEPS", 0.0)


@pytest.fixture
def trainer(tiny: Path, tmp_path: Path) -> Trainer:
    request = Request(suite=str(tiny / "tiny.yaml"), noise=("clean",), data=tiny / "faces", results=tmp_path)
    cell = plan(request, lambda _: None)[0]
    return build_trainer(cell, Process(0, 1, torch.device("cpu")), StopRequest(), 1)


def test_it_says_what_a_bench_would_be_and_writes_nothing(tiny: Path, tmp_path: Path) -> None:
    places = {"--suite": tiny / "tiny.yaml", "--data": tiny / "faces", "--results": tmp_path / "results"}
    options = [str(word) for option in places.items() for word in option]
    bench = ["bench", "--dry-run", "--cores", "1", "--noise", "closed30,m15o05", "--seeds", "0,1", *options]
    done = CliRunner().invoke(app, bench)
    assert done.exit_code == 0, done.output
    cells = re.findall(r"^\| (closed30|m15o05) +\| (softmax|arcface) +\| ([01]) +\| 9 ", done.output, re.MULTILINE)
    assert len(set(cells)) == len(cells) == 8  # 2 noises, 2 methods, 2 seeds; 3 epochs of 36 // 12 steps
    assert "8 of 8 runs are left" in done.output
    assert not (tmp_path / "results").exists()


def test_weights_gradients_and_momentum_are_counted(trainer: Trainer) -> None:
    modules = (trainer.backbone, trainer.head)
    trained = [weight for module in modules for weight in module.parameters() if weight.requires_grad]
    memory = memory_model(trainer)(12)
    assert memory.gradients == memory.momentum == 4 * sum(weight.numel() for weight in trained)
    assert memory.weights >= memory.gradients


def test_activations_grow_in_line_with_the_batch(trainer: Trainer) -> None:
    """The model, made from 2 and 4 images, against what a forward pass of 12 keeps, counted another way."""
    model = memory_model(trainer)
    batch = next(trainer.loader.epoch(0))
    storages: dict[int, torch.Tensor] = {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: storages.setdefault(tensor.untyped_storage().data_ptr(), tensor), lambda tensor: tensor
    ):
        images = batch.images.permute(0, 3, 1, 2).float().div(127.5).sub(1.0)
        output = trainer.head(trainer.embed(images), batch.labels, batch.true_labels)
    own = {weight.data_ptr() for module in (trainer.backbone, trainer.head) for weight in module.parameters()}
    kept = sum(tensor.untyped_storage().nbytes() for place, tensor in storages.items() if place not in own)
    assert output.loss.requires_grad
    assert model(12).activations == pytest.approx(kept, rel=0.1)


def test_a_batch_that_does_not_fit_is_not_tried(trainer: Trainer) -> None:
    sizes: list[int] = []
    step = trainer.train_step

    def noted(batch: object) -> object:
        sizes.append(len(batch.rows))  # type: ignore[attr-defined]
        return step(batch)  # type: ignore[arg-type]

    trainer.train_step = noted  # type: ignore[method-assign,assignment]
    speed = time_steps(trainer, 12, fits=lambda size: size <= 8)
    assert speed.batch_sizes == (4, 8)
    assert set(sizes) == {4, 8}
    assert time_steps(trainer, 12, fits=lambda size: True).batch_sizes == (12,)
