"""Verifying a face set or a verification file: every fault it has, with its place; and writing a sound copy.

A face set: the index lists every record of the file and nothing else, each is whole, header, identity ranges and
labels agree, every image decodes without a warning to the declared size, and every checksum is right if there are any.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import noisebench
from datasets_tools.checking.face_set import FaceSetChecker
from datasets_tools.checking.faults import BlockResult, Checker, Fault
from datasets_tools.checking.journal import Journal
from datasets_tools.checking.repair import Repaired, repair_face_set, repair_verification
from datasets_tools.checking.verification import VerificationChecker
from datasets_tools.worker_pool import WorkerPool
from noisebench.errors import FileError, UserError
from noisebench.formats.face_set import FaceSet
from noisebench.formats.record_sums import RecordSums

_MIN_BLOCKS_A_PROCESS = 2


@dataclass(frozen=True)
class Report:
    """What was found. ``str(report)`` is the report to print.

    Attributes:
        path: The set.
        records: How many records or images were checked.
        faults: All faults.
        sums: The file of checksums that was written, if it was.
        repaired: The sound copy that was written, if it was.
    """

    path: str
    records: int
    faults: tuple[Fault, ...]
    sums: str | None = None
    repaired: Repaired | None = None

    @property
    def passed(self) -> bool:
        """Whether there is no fault."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        repaired = self.repaired._asdict() if self.repaired is not None else None
        return dataclasses.asdict(self) | {"repaired": repaired, "passed": self.passed}

    def __str__(self) -> str:
        lines = [*map(str, self.faults)]
        found = "no fault" if self.passed else f"{len(self.faults)} fault{'s' * (len(self.faults) > 1)}"
        lines.append(f"{self.path}: {self.records} checked, {found}")
        if self.sums is not None:
            lines.append(f"wrote {self.sums}")
        if self.repaired is not None:
            out, images, left_out, emptied = self.repaired
            lines.append(f"wrote {out}: {images} images; {len(left_out)} left out")
            if emptied:
                lines.append(f"without any image, but still counted: identities {', '.join(map(str, emptied))}")
        return "\n".join(lines)


def verify(path: Path, *, workers: int | None = None, write_sums: bool = False, repair: Path | None = None) -> Report:
    """Check a face set or a verification file, and list all its faults.

    An interrupted check or repair of a face set goes on where it stopped: finished blocks are noted in a hidden file in
    the set's folder until all is done, and a repaired set is ``<repair>.part`` until then.

    Args:
        path: Folder of a face set, or a ``.bin`` file.
        workers: Processes; None takes one for each processor, as far as there is work for them.
        write_sums: Write ``train.sums`` if there is no fault.
        repair: Where to write a copy without what is broken; a new folder, or a new file for a ``.bin`` file.

    Raises:
        UserError: There is no such set, it cannot be repaired, or something cannot be written.
    """
    if repair is not None and repair.exists() and (not repair.is_dir() or any(repair.iterdir())):
        raise UserError(f"{repair}: already exists (choose another place or remove it first)")
    if path.is_dir():
        return _verify_face_set(path, workers, write_sums, repair)
    if write_sums:
        raise UserError(f"{path}: --write-sums is for the folder of a face set")
    return _verify_file(path, workers, repair)


def _verify_face_set(folder: Path, workers: int | None, write_sums: bool, repair: Path | None) -> Report:
    for name in ("train.rec", "train.idx"):
        if not (folder / name).is_file():
            raise FileError(folder / name, "no such file", "a data set is a folder with train.rec and train.idx")
    make = partial(FaceSetChecker, folder, write_sums)
    try:
        checker = make()
    except FileError as error:
        return _unusable(folder, error, repair)
    journal = Journal(folder / ".train.verify", _state(folder, write_sums))
    try:
        todo = [block for block in range(checker.num_blocks) if block not in journal.done]
        for block, result in _check_blocks(checker, make, todo, workers):
            journal.add(block, result)
        results = [journal.done[block] for block in range(checker.num_blocks)]
        faults = (*checker.faults, *(fault for result in results for fault in result.faults))
        if not faults:
            FaceSet.open(folder)  # would name what was overlooked
        sums = _write_sums(checker, results) if write_sums and not faults else None
        repaired = repair_face_set(checker, faults, repair) if repair is not None else None
    finally:
        journal.close()
    journal.remove()
    return Report(str(folder), len(checker.keys), faults, sums, repaired)


def _verify_file(path: Path, workers: int | None, repair: Path | None) -> Report:
    if not path.is_file():
        raise FileError(path, "no such file or folder", "name the folder of a face set or a .bin file")
    make = partial(VerificationChecker, path)
    try:
        checker = make()
    except FileError as error:
        return _unusable(path, error, repair)
    results = dict(_check_blocks(checker, make, list(range(checker.num_blocks)), workers))
    faults = tuple(fault for block in sorted(results) for fault in results[block].faults)
    repaired = repair_verification(checker, faults, repair) if repair is not None else None
    return Report(str(path), len(checker.content.jpegs), faults, None, repaired)


def _unusable(path: Path, error: FileError, repair: Path | None) -> Report:
    """The report on a set of which nothing can be checked."""
    if repair is not None:
        raise UserError(f"{error} - so nothing can be repaired") from error
    return Report(str(path), 0, (Fault(error.path.name, None, None, "file", error.problem),))


def _write_sums(checker: FaceSetChecker, results: list[BlockResult]) -> str:
    path = checker.records.rec.with_suffix(".sums")
    sums = np.concatenate([np.array(result.sums, dtype=np.uint32) for result in results])
    RecordSums.write(path, checker.keys, sums)
    return str(path)


def _state(folder: Path, write_sums: bool) -> dict[str, Any]:
    """What the results of a check depend on."""
    files = [folder / name for name in ("train.rec", "train.idx", "property", "train.sums")]
    states = {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.exists()}
    return {"version": noisebench.__version__, "write_sums": write_sums, "files": states}


def _check_blocks(
    checker: Checker, make: Callable[[], Checker], blocks: list[int], workers: int | None
) -> Iterator[tuple[int, BlockResult]]:
    """The results of blocks, in order, with a bar on a terminal."""
    workers = min(workers or len(os.sched_getaffinity(0)), len(blocks) // _MIN_BLOCKS_A_PROCESS)
    results = _in_processes(make, blocks, workers) if workers > 1 else map(checker.check, blocks)
    done = checker.num_blocks - len(blocks)
    bar = tqdm(results, total=checker.num_blocks, initial=done, desc="verify", unit="block", disable=None)
    yield from zip(blocks, bar, strict=True)


def _in_processes(make: Callable[[], Checker], blocks: list[int], workers: int) -> Iterator[BlockResult]:
    with WorkerPool(workers, partial(_make_checker, make)) as pool:
        try:
            yield from pool.map(_check_in_process, blocks)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_checkers: list[Checker] = []  # the one of this process


def _make_checker(make: Callable[[], Checker]) -> None:
    _checkers[:] = [make()]


def _check_in_process(block: int) -> BlockResult:
    return _checkers[0].check(block)
