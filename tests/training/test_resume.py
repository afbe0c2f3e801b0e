"""A run that was stopped or killed, wherever that was, ends as if it had not been: bit for bit, logs included."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from ctypes import c_int
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from noisebench import methods
from noisebench.analysis.centre_log import CentreLog
from noisebench.analysis.sample_log import read_samples
from noisebench.analysis.state_log import read_state
from noisebench.training import checkpoint, dcp
from noisebench.training.distributed import Process
from noisebench.training.progress import Progress
from tests.training import small as runs
from tests.training.small import STEPS_PER_EPOCH, Small

KILLS = 20
STEPS = 18 * STEPS_PER_EPOCH


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.write_data(tmp_path_factory.mktemp("data"))


def check_alike(run: Path, whole: Path) -> None:
    """Everything two runs leave, but the time they took."""
    expected = runs.tensors(whole)
    found = runs.tensors(run)
    assert found.keys() == expected.keys()
    assert {name for name in expected if not torch.equal(found[name], expected[name])} == set()
    assert runs.history(run) == runs.history(whole)
    assert runs.logs(run) == runs.logs(whole)
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [
        (epoch, float(np.float32(loss))) for epoch, loss, _ in runs.history(run)
    ]


def be_killed(small: Small, step: Synchronized[int]) -> None:
    """Train slowly, and tell which step is reached."""
    advance, write, finish = Progress.advance, dcp.write, checkpoint._finish

    def tell(self: Progress) -> None:
        advance(self)
        step.value += 1
        time.sleep(0.002)

    with (
        mock.patch.object(Progress, "advance", tell),
        mock.patch.object(dcp, "write", lambda *given, **named: _slowly(write, *given, **named)),
        mock.patch.object(checkpoint, "_finish", lambda *given: _slowly(finish, *given)),
    ):
        runs.train(small)


def _slowly(function: Callable[..., None], *given: object, **named: object) -> None:
    time.sleep(0.01)
    function(*given, **named)
    time.sleep(0.01)


def is_writing(run: Path) -> bool:
    return any((run / checkpoint.FOLDER).glob(".*.part"))


def test_a_run_killed_at_random_moments_ends_as_if_it_had_not_been(data: Path, tmp_path: Path) -> None:
    options = {"sub_centres": 2, "sample_rate": 0.5}
    whole, killed = (
        Small(
            data,
            tmp_path / name,
            epochs=STEPS // STEPS_PER_EPOCH,
            method="elasticface",
            options=options,
            dropout=0.3,
            checkpoint_minutes=0.2 / 60,
            keep_checkpoints=1,  # of two, one may be of within an epoch: it depends on the time, and keeps more centres
        )
        for name in ("whole", "killed")
    )
    runs.train(whole)
    chance = np.random.default_rng(0)
    in_the_midst = 0
    for number in range(KILLS):
        step: Synchronized[int] = runs.PROCESSES.Value(c_int, 0)
        process = runs.PROCESSES.Process(target=be_killed, args=(killed, step))
        process.start()
        last = int(chance.integers(1, 2 * STEPS // KILLS))
        while step.value < last or (number % 3 == 0 and not is_writing(killed.folder)):
            assert process.is_alive()
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.03))
        in_the_midst += is_writing(killed.folder)
        process.kill()
        process.join()
        assert process.exitcode == -9
    assert in_the_midst >= 3
    runs.train(killed)
    check_alike(killed.folder, whole.folder)


class Killed(Exception):  # noqa: N818 - no error
    """Stands for a kill at one exact place."""


@pytest.mark.parametrize("place", [(checkpoint, "remove_outdated"), (CentreLog, "forget")])
def test_a_run_killed_as_it_tidies_up_after_its_last_checkpoint_leaves_nothing_behind(
    data: Path, tmp_path: Path, place: tuple[object, str]
) -> None:
    whole, killed = (Small(data, tmp_path / name, epochs=4, keep_checkpoints=1) for name in ("whole", "killed"))
    runs.train(whole)
    runs.train(killed, stop_after=STEPS_PER_EPOCH)
    tidy, calls = getattr(*place), itertools.count(1)

    def kill(*given: object, **named: object) -> object:
        if next(calls) == 1 + killed.epochs:  # once as the run goes on, and once after every epoch
            raise Killed
        return tidy(*given, **named)

    with mock.patch.object(*place, kill), pytest.raises(Killed):
        runs.train(killed)
    assert checkpoint.step_of(checkpoint.checkpoints(killed.folder)[-1]) == killed.epochs * STEPS_PER_EPOCH
    runs.train(killed)
    assert len(checkpoint.checkpoints(killed.folder)) == 1
    check_alike(killed.folder, whole.folder)


@pytest.mark.parametrize("method", methods.names())
def test_every_method_goes_on_in_the_middle_of_an_epoch(data: Path, tmp_path: Path, method: str) -> None:
    whole, stopped = (Small(data, tmp_path / name, epochs=2, method=method) for name in ("whole", "stopped"))
    runs.train(whole)
    step = STEPS_PER_EPOCH + 5
    runs.train(stopped, stop_after=step)
    assert checkpoint.step_of(checkpoint.checkpoints(stopped.folder)[-1]) == step
    runs.train(stopped)
    check_alike(stopped.folder, whole.folder)


def test_what_a_method_follows_is_logged_at_every_step(data: Path, tmp_path: Path) -> None:
    small = Small(data, tmp_path / "run", epochs=2, method="robustface")
    trained = runs.train(small)
    state = read_state(small.folder)
    assert state["step"].tolist() == list(range(2 * STEPS_PER_EPOCH))
    last = {name: float(value) for name, value in trained.head.monitored().items()}
    assert state.iloc[-1].drop("step").to_dict() == last
    assert state["phi"].nunique() == 2 * STEPS_PER_EPOCH


def test_noise_by_batch_goes_on_in_the_middle_of_an_epoch(data: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "batch.yaml"
    recipe.write_text("per_batch: {closed: 0.2, open: 0.2}\n")
    whole, stopped = (Small(data, tmp_path / name, epochs=2, recipe=str(recipe)) for name in ("whole", "stopped"))
    runs.train(whole)
    runs.train(stopped, stop_after=STEPS_PER_EPOCH - 1)
    runs.train(stopped, stop_after=STEPS_PER_EPOCH + 1)
    runs.train(stopped)
    check_alike(stopped.folder, whole.folder)


def test_a_run_stopped_between_the_last_step_of_an_epoch_and_its_logs(data: Path, tmp_path: Path) -> None:
    whole, stopped = (Small(data, tmp_path / name, epochs=3, keep_checkpoints=1) for name in ("whole", "stopped"))
    runs.train(whole)
    runs.train(stopped, stop_after=2 * STEPS_PER_EPOCH)
    assert len(checkpoint.read_state(checkpoint.checkpoints(stopped.folder)[0])["history"]) == 1
    runs.train(stopped)
    check_alike(stopped.folder, whole.folder)


@pytest.mark.parametrize("mode", ["dense", "sharded"])
def test_three_processes_go_on_bit_for_bit(data: Path, tmp_path: Path, mode: str) -> None:
    whole, stopped = (
        Small(data, tmp_path / name, epochs=2, options={"mode": mode, "sub_centres": 2}, dropout=0.3)
        for name in ("whole", "stopped")
    )
    runs.train_together(3, whole)
    runs.train_together(3, stopped, 5)
    runs.train_together(3, stopped, STEPS_PER_EPOCH + 4)
    runs.train_together(3, stopped)
    check_alike(stopped.folder, whole.folder)


@pytest.mark.parametrize("mode", ["dense", "sharded"])
def test_a_run_goes_on_with_fewer_processes(data: Path, tmp_path: Path, mode: str) -> None:
    whole, changed = (Small(data, tmp_path / name, epochs=2, options={"mode": mode}) for name in ("whole", "changed"))
    trained = runs.train(whole)
    assert trained.state.step == 2 * STEPS_PER_EPOCH
    runs.train_together(3, changed, 4)
    runs.train_together(2, changed, 9)
    runs.train_together(1, changed, STEPS_PER_EPOCH + 3)
    runs.train_together(2, changed)
    expected, found = runs.tensors(whole.folder), runs.tensors(changed.folder)
    assert found.keys() == expected.keys()
    for name in (name for name in expected if name.startswith(("backbone", "head", "optimizer"))):
        change = (found[name].double() - expected[name].double()).norm()
        assert change <= 1e-4 * expected[name].double().norm(), name
    for one, other in zip(runs.history(changed.folder), runs.history(whole.folder), strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    samples, alone = read_samples(changed.folder), read_samples(whole.folder)
    assert samples[["epoch", "row", "used_label"]].equals(alone[["epoch", "row", "used_label"]])
    np.testing.assert_allclose(samples["angle_label"], alone["angle_label"], atol=2e-3)


def test_ranks_that_are_no_more_leave_no_rows(data: Path, tmp_path: Path) -> None:
    """Stopped after the logs of an epoch were written, and before the checkpoint: another number logs it anew."""
    small = Small(data, tmp_path / "run", epochs=1)
    runs.train_together(3, small, 2)
    kept = {file: file.read_bytes() for file in small.folder.rglob("checkpoints/*/*")}
    runs.train_together(3, small)
    checkpoint.remove_all(small.folder)
    for file, content in kept.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    runs.train(small, Process(0, 1, torch.device("cpu")))
    assert read_samples(small.folder)["row"].tolist() == list(range(runs.IDENTITIES * runs.IMAGES))
