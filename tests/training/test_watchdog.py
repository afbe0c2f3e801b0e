"""A process that hangs, is stopped or dies: the others say which, and leave, and the run goes on later."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from noisebench.data.loader import Batch, Loader
from noisebench.training.distributed import PeerLost, Process
from noisebench.training.stopping import StopRequest
from noisebench.training.trainer import Trainer
from noisebench.training.watchdog import Watchdog
from tests.training import small as runs
from tests.training.small import Small

TIMEOUT = 3.0
STEP = 4  # at which something happens, counted from 0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.write_data(tmp_path_factory.mktemp("data"))


def train_and_tell(process: Process, small: Small, faulty: int | None, fault: str) -> None:
    """Train; one of the processes hangs, stops, or dies. Those that notice write down why the run ends."""
    reason = small.folder.parent / "reason"
    trainer = runs.build(small, process, StopRequest(), lambda told: print(told, end="", file=reason.open("w")))
    if process.rank == faulty:
        _provoke(fault)
    try:
        trainer.run()
    except PeerLost as lost:
        if lost.is_told_here:
            reason.write_text(str(lost))
        os._exit(1)


def _provoke(fault: str) -> None:
    whole_epoch, train_step = Loader.epoch, Trainer.train_step

    def hang(self: Loader, *arguments: int) -> Iterator[Batch]:
        for step, batch in enumerate(whole_epoch(self, *arguments)):
            if step == STEP:
                time.sleep(600)
            yield batch

    def be_signalled(self: Trainer, batch: Batch) -> Any:
        if self.state.step == STEP:
            os.kill(os.getpid(), signal.Signals[fault])
        return train_step(self, batch)

    if fault == "hang":
        Loader.epoch = hang  # type: ignore[method-assign,assignment]  # in a process of its own
    else:
        Trainer.train_step = be_signalled  # type: ignore[method-assign]


def run_with(small: Small, faulty: int | None, fault: str) -> tuple[str, list[ForkServerProcess]]:
    processes = runs.start(3, train_and_tell, small, faulty, fault)
    for rank, process in enumerate(processes):
        if not (fault == "SIGSTOP" and rank == faulty):
            process.join(60)
    return (small.folder.parent / "reason").read_text(), processes


@pytest.mark.parametrize(
    ("fault", "faulty", "told"),
    [
        ("hang", 1, "process 1 hangs in 'data' of step 5: no progress for 3 s"),
        (
            "SIGSTOP",
            0,
            "process 0 shows no sign of life; the others wait for it in 'forward' of step 5: no progress for",
        ),
        ("SIGKILL", 2, "process 2 was lost; process 0 noticed it in 'forward' of step 5"),
        ("SIGKILL", 0, "process 0 was lost; process 1 noticed it in 'forward' of step 5"),
    ],
)
def test_the_one_at_fault_is_named(data: Path, tmp_path: Path, fault: str, faulty: int, told: str) -> None:
    small = Small(data, tmp_path / "run", options={"mode": "sharded"}, timeout_seconds=TIMEOUT)
    reason, processes = run_with(small, faulty, fault)
    codes = [process.exitcode for process in processes]
    if fault == "SIGSTOP":
        processes[faulty].kill()
        processes[faulty].join()
    assert reason.startswith(told)
    assert "\n" not in reason
    assert [code for rank, code in enumerate(codes) if rank != faulty] == [1, 1]
    runs.train(Small(data, tmp_path / "run", epochs=1))  # with what was left


def test_one_that_gets_on_is_let_be_and_leaves_no_trace(tmp_path: Path) -> None:
    with Watchdog(tmp_path, Process(0, 1, torch.device("cpu")), 0.5, pytest.fail) as watchdog:
        for step in range(6):
            watchdog.enter("forward", step)
            time.sleep(0.35 if step % 2 else 0.05)  # beyond half the time a note is left, and taken away again
        watchdog.enter("data", 6)
        time.sleep(0.2)
    assert not list((tmp_path / "watchdog").iterdir())


def test_where_all_wait_the_network_is_suspected(tmp_path: Path) -> None:
    told: list[str] = []
    watchdogs = [Watchdog(tmp_path, Process(rank, 3, torch.device("cpu")), 1.0, told.append) for rank in range(3)]
    for watchdog in watchdogs:
        watchdog.enter("backward", 6)
        watchdog._leave_note()
    assert watchdogs[0]._diagnosis().startswith("all processes wait for each other in 'backward' of step 7")
    assert [watchdog._is_speaker for watchdog in watchdogs] == [True, False, False]
