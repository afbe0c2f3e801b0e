"""Noise that makes new classes, and noise that follows a file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from noisebench.bench.execute import build_trainer
from noisebench.bench.plan import plan
from noisebench.bench.request import Request
from noisebench.errors import UserError
from noisebench.noise.manifest import Manifest
from noisebench.training.distributed import Process
from noisebench.training.stopping import StopRequest
from tests.tiny import IDENTITIES, write_faces, write_suite


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    return Request(
        suite=str(write_suite(tmp_path)),
        noise=("conflict",),
        methods=("arcface",),
        seeds=(0,),
        data=write_faces(tmp_path / "faces"),
        results=tmp_path / "results",
    )


def test_a_head_has_a_centre_for_every_label_that_splitting_made(request_: Request) -> None:
    (cell,) = plan(request_, say=lambda _: None)
    trainer = build_trainer(cell, Process(0, 1, torch.device("cpu")), StopRequest(), threads=1)
    assert len(dict(trainer.head.named_parameters())["centres"]) == IDENTITIES + 4
    manifest = Manifest.read(cell.inputs.manifest)
    assert IDENTITIES <= manifest.label.max() < manifest.num_train_classes


def test_a_bench_says_how_hard_flips_get_their_file(request_: Request, tmp_path: Path) -> None:
    recipe = tmp_path / "hard.yaml"
    recipe.write_text("closed: {rate: 0.5, targets: hard, neighbours: 2}")
    with pytest.raises(UserError, match="name it to 'noisebench data noise' with --centres"):
        plan(dataclasses.replace(request_, noise=(str(recipe),)), say=lambda _: None)
