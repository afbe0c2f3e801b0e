"""Checkpoints: what a stopped run goes on from, whole or not at all, on any number of processes.

``checkpoints/step=000000123/`` in a run's folder holds the state after 123 steps:

==============================  ================================================================================
``__0_0.distcp``, ...           tensors, a file a process
``.metadata``                   which tensor, and which of its rows, stands where
``state.json``                  where the training stood, and what its finished epochs came to
``SHA256SUMS``                  checksums of all these, as ``sha256sum -c`` reads them
==============================  ================================================================================

It is written beside its place and moved there when it is complete and on the disk. The newest that is sound is gone
on from; one that is damaged is told of and removed.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from noisebench.errors import FileError, UserError
from noisebench.files import explained, sha256_of, write_text
from noisebench.training import dcp
from noisebench.training.distributed import Process

FOLDER = "checkpoints"
STATE_FILE = "state.json"
SUMS_FILE = "SHA256SUMS"


def save(
    run_folder: Path, step: int, blocks: Mapping[str, dcp.Block], state: dict[str, Any], process: Process, *, keep: int
) -> None:
    """Write a checkpoint, and remove those no longer needed. All processes must call it.

    Args:
        run_folder: The run's folder, the same for all processes.
        step: Steps finished.
        blocks: The tensors this process is to write.
        state: Plain values, those of the first process.
        process: This process.
        keep: How many of the last checkpoints to keep; the best one is kept beside them.

    Raises:
        UserError: It could not be written, on every process. The earlier checkpoints stand.
    """
    place = run_folder / FOLDER / f"step={step:09d}"
    part = place.with_name(f".{place.name}.part")
    process.on_first(lambda: _make_empty(part))
    try:
        with explained(place):
            dcp.write(part, blocks, is_distributed=process.is_distributed)
        own = {file.name: sha256_of(file) for file in part.glob(f"__{process.rank}_*.distcp")}
        sums = {name: value for of_process in process.gather(own) for name, value in of_process.items()}
        process.on_first(lambda: _finish(part, place, sums, state, keep))
    except UserError:
        shutil.rmtree(part, ignore_errors=True)  # on a full disk above all
        raise


def newest(run_folder: Path) -> Path | None:
    """The newest sound checkpoint of a run. Damaged ones are warned of, and removed."""
    for folder in reversed(checkpoints(run_folder)):
        fault = _fault(folder)
        if fault is None:
            return folder
        warnings.warn(f"{folder}: damaged checkpoint, {fault}; going on from the one before", stacklevel=2)
        shutil.rmtree(folder)
    return None


def read_state(folder: Path) -> dict[str, Any]:
    """The plain values of a checkpoint."""
    state: dict[str, Any] = json.loads((folder / STATE_FILE).read_bytes())
    return state


def remove_outdated(run_folder: Path, keep: int) -> None:
    """Remove all checkpoints of a run but the last ``keep`` and the best one."""
    saved = checkpoints(run_folder)
    for outdated in set(saved[:-keep]) - {best(saved, "last")}:
        shutil.rmtree(outdated)


def remove_all(run_folder: Path) -> None:
    """Remove all checkpoints of a run, which then can only begin anew."""
    shutil.rmtree(run_folder / FOLDER, ignore_errors=True)


def checkpoints(run_folder: Path) -> list[Path]:
    """The complete checkpoints of a run, sound or not, by step."""
    return sorted((run_folder / FOLDER).glob("step=*"))


def step_of(folder: Path) -> int:
    """The step a checkpoint was taken after, by its name."""
    return int(folder.name.removeprefix("step="))


def best(saved: Sequence[Path], selection: Literal["last"]) -> Path:
    """The one of these checkpoints, in order of steps, that the rule by which a run selects its weights prefers."""
    match selection:
        case "last":
            return saved[-1]


def _make_empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # what a kill left behind
    with explained(folder):
        folder.mkdir(parents=True)


def _finish(part: Path, place: Path, sums: dict[str, str], state: dict[str, Any], keep: int) -> None:
    """Complete a checkpoint and move it to its place."""
    if missing := [name for name in sums if not (part / name).is_file()]:
        raise FileError(part, f"{missing[0]} is not here", "all hosts must share the results folder")
    write_text(part / STATE_FILE, json.dumps(state, indent=2) + "\n")
    sums |= {name: sha256_of(part / name) for name in (dcp.INDEX_FILE, STATE_FILE)}
    write_text(part / SUMS_FILE, "".join(f"{value}  {name}\n" for name, value in sorted(sums.items())))
    with explained(place):
        _flush_to_disk(part)
        shutil.rmtree(place, ignore_errors=True)
        part.replace(place)
        _flush_to_disk(place.parent)
    remove_outdated(place.parents[1], keep)


def _fault(folder: Path) -> str | None:
    """What is wrong with a checkpoint."""
    try:
        lines = (folder / SUMS_FILE).read_text(encoding="ascii").splitlines()
        expected = {name: value for value, _, name in (line.partition("  ") for line in lines)}
        found = {file.name: sha256_of(file) for file in folder.iterdir() if file.name != SUMS_FILE}
    except (OSError, UnicodeDecodeError) as error:
        return f"unreadable: {error}"
    differing = sorted(name for name in expected | found if expected.get(name) != found.get(name))
    if differing:
        return f"{differing[0]} is {'changed' if differing[0] in found else 'missing'}"
    return None if {dcp.INDEX_FILE, STATE_FILE} <= expected.keys() else "its list of checksums is not complete"


def _flush_to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
