"""Checkpoints on disk: whole or not at all, the last few, sound or told of; and nothing in them is ever run."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch.distributed.checkpoint.filesystem import FileSystemWriter

from noisebench.errors import FileError, UserError
from noisebench.training import checkpoint, dcp
from noisebench.training.distributed import Process
from noisebench.training.stopping import Stopped, StopRequest
from tests.training import small as runs
from tests.training.small import STEPS_PER_EPOCH, Small

ALONE = Process(0, 1, torch.device("cpu"))


def save(folder: Path, step: int, keep: int = 2) -> None:
    blocks = {"weight": dcp.Block(torch.full((4, 3), float(step))), "count": dcp.Block(torch.tensor(step))}
    checkpoint.save(folder, step, blocks, {"step": step}, ALONE, keep=keep)


def load(folder: Path) -> float:
    weight, count = torch.zeros(4, 3), torch.tensor(0)
    dcp.read(folder, {"weight": dcp.Block(weight), "count": dcp.Block(count)})
    assert torch.equal(weight, torch.full((4, 3), float(count)))
    return float(count)


def steps(folder: Path) -> list[int]:
    return [checkpoint.step_of(saved) for saved in checkpoint.checkpoints(folder)]


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_last_few_are_kept(tmp_path: Path, keep: int) -> None:
    for step in (8, 9, 10, 100):
        save(tmp_path, step, keep)
    assert steps(tmp_path) == [8, 9, 10, 100][-keep:]
    newest = checkpoint.newest(tmp_path)
    assert newest is not None
    assert load(newest) == checkpoint.read_state(newest)["step"] == 100
    assert checkpoint.best(checkpoint.checkpoints(tmp_path), "last") == newest


def test_its_checksums_are_those_of_sha256sum(tmp_path: Path) -> None:
    save(tmp_path, 1)
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=checkpoint.newest(tmp_path))
    assert done.returncode == 0


def test_a_part_is_read_out_of_a_whole_tensor(tmp_path: Path) -> None:
    rows = torch.arange(21.0).view(7, 3)
    dcp.write(tmp_path, {"rows": dcp.Block(rows)}, is_distributed=False)
    part = torch.zeros(3, 3)
    dcp.read(tmp_path, {"rows": dcp.Block(part, dcp.Part(2, 3, 7))})
    assert torch.equal(part, rows[2:5])


def _flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda folder: os.truncate(folder / "__0_0.distcp", 100),
    "flipped": lambda folder: _flip_a_bit(folder / "__0_0.distcp"),
    "flipped index": lambda folder: _flip_a_bit(folder / ".metadata"),
    "flipped state": lambda folder: _flip_a_bit(folder / "state.json"),
    "no shard": lambda folder: (folder / "__0_0.distcp").unlink(),
    "no state": lambda folder: (folder / "state.json").unlink(),
    "no checksums": lambda folder: (folder / "SHA256SUMS").unlink(),
    "empty checksums": lambda folder: (folder / "SHA256SUMS").write_bytes(b""),
    "binary checksums": lambda folder: (folder / "SHA256SUMS").write_bytes(b"\xff\0"),
    "another file": lambda folder: (folder / "__1_0.distcp").write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_one_is_told_of_and_the_one_before_is_taken(tmp_path: Path, damage: str) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    DAMAGE[damage](checkpoint.checkpoints(tmp_path)[-1])
    with pytest.warns(
        UserWarning, match="step=000000002: damaged checkpoint, .*; going on from the one before"
    ) as told:
        newest = checkpoint.newest(tmp_path)
    assert len(told) == 1
    assert "\n" not in str(told[0].message)
    assert newest is not None
    assert load(newest) == 1
    save(tmp_path, 2)
    assert steps(tmp_path) == [1, 2]
    assert checkpoint.newest(tmp_path) == checkpoint.checkpoints(tmp_path)[-1]


def test_where_all_are_damaged_a_run_begins_anew(tmp_path: Path) -> None:
    save(tmp_path, 1)
    DAMAGE["no shard"](checkpoint.checkpoints(tmp_path)[0])
    with pytest.warns(UserWarning, match="is missing"):
        assert checkpoint.newest(tmp_path) is None
    assert checkpoint.newest(tmp_path / "nothing here") is None


class Hostile:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("hacked",)


def test_a_pickle_that_names_anything_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path, 1)
    (folder,) = checkpoint.checkpoints(tmp_path)
    (folder / ".metadata").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(FileError, match=r"the name 'posix\.mkdir', which no checkpoint needs"):
        dcp.saved_tensors(folder)
    assert not (tmp_path / "hacked").exists()


def test_an_index_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    dcp.write(tmp_path, {"rows": dcp.Block(torch.zeros(1), dcp.Part(0, 1, 1))}, is_distributed=False)
    index = (tmp_path / ".metadata").read_bytes()
    huge = pickle.loads(index)
    huge.state_dict_metadata["rows"].size = torch.Size([1 << 40])
    (tmp_path / ".metadata").write_bytes(pickle.dumps(huge))
    with pytest.raises(FileError, match="promises more than its files can hold"):
        dcp.saved_tensors(tmp_path)


def test_a_damaged_newest_one_costs_a_run_nothing_but_time(tmp_path: Path) -> None:
    data = runs.write_data(tmp_path / "data")
    whole, damaged = (Small(data, tmp_path / name, epochs=4) for name in ("whole", "damaged"))
    runs.train(whole)
    runs.train(damaged, stop_after=3 * STEPS_PER_EPOCH)
    assert steps(damaged.folder)[-1] == 3 * STEPS_PER_EPOCH
    DAMAGE["flipped"](checkpoint.checkpoints(damaged.folder)[-1])
    with pytest.warns(UserWarning, match="damaged checkpoint"):
        runs.train(damaged)
    for expected, found in zip(*(runs.tensors(run.folder).values() for run in (whole, damaged)), strict=True):
        assert torch.equal(expected, found)
    assert runs.logs(damaged.folder) == runs.logs(whole.folder)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 400 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("to mount a small disk takes root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_stops_a_run_that_goes_on_once_there_is_room(tmp_path: Path, full_disk: Path) -> None:
    data = runs.write_data(tmp_path / "data")
    whole, stopped = Small(data, tmp_path / "whole", epochs=2), Small(data, full_disk / "run", epochs=2)
    runs.train(whole)
    runs.train(stopped, stop_after=4)
    filler = full_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(full_disk).free - 40_000))
    stop = runs.StopAfter(8)
    stop.trainer = runs.build(stopped, ALONE, stop)
    with pytest.raises(Stopped, match=r"^cannot save a checkpoint: .*: the disk is full") as reason:
        stop.trainer.run()
    assert "\n" not in str(reason.value)
    assert steps(stopped.folder) == [4]
    assert not list(stopped.folder.rglob("*.part"))
    filler.unlink()
    runs.train(stopped)
    assert runs.logs(stopped.folder) == runs.logs(whole.folder)
    for expected, found in zip(*(runs.tensors(run.folder).values() for run in (whole, stopped)), strict=True):
        assert torch.equal(expected, found)


def _fill_disk_of_the_second(process: Process, folder: Path) -> None:
    refusal = RuntimeError("unexpected pos")
    refusal.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    rows = dcp.Block(torch.ones(2, 3), dcp.Part(2 * process.rank, 2, 4))
    checkpoint.save(folder, 1, {"rows": rows}, {}, process, keep=2)
    if process.rank == 1:
        mock.patch.object(FileSystemWriter, "write_data", side_effect=refusal).start()  # in a process of its own
    with pytest.raises(UserError, match="the disk is full"):
        checkpoint.save(folder, 2, {"rows": rows}, {}, process, keep=2)


def test_a_full_disk_of_one_process_is_told_by_all(tmp_path: Path) -> None:
    processes = runs.start(2, _fill_disk_of_the_second, tmp_path)
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert steps(tmp_path) == [1]


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    small = Small(runs.write_data(tmp_path / "data"), tmp_path / "run")
    runs.train(small, stop_after=2)
    trainer = runs.build(small, ALONE, StopRequest())
    trainer.state.run_hash = "another"
    with pytest.raises(FileError, match="is the checkpoint of another run"):
        trainer.run()
