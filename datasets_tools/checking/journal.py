"""The blocks of a long check that are done, in a file that lets the next check of the same thing go on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from datasets_tools.checking.faults import BlockResult, Fault


class Journal:
    """Results of blocks. The first line of the file says what is checked, each further line is one block.

    Where the file cannot be written the check goes on without, and an interrupted one begins again.

    Args:
        path: The file.
        task: What is checked, and in which state it is: with another task, a file that is there is begun anew.
    """

    def __init__(self, path: Path, task: Mapping[str, Any]) -> None:
        self.path = path
        heading = json.dumps(task)
        self.done = _read(path, heading)
        self._stream: IO[str] | None = None
        try:
            self._stream = path.open("w", encoding="utf-8")
        except OSError:
            return
        self._write(heading)
        for block, result in self.done.items():
            self._write(json.dumps([block, *result.to_json()]))

    def add(self, block: int, result: BlockResult) -> None:
        """Note the result of a block."""
        self.done[block] = result
        self._write(json.dumps([block, *result.to_json()]))

    def close(self) -> None:
        """Keep the file for another check."""
        if self._stream is not None:
            self._stream.close()

    def remove(self) -> None:
        """The check is done: the file is not needed any more."""
        self.close()
        if self._stream is not None:
            self.path.unlink(missing_ok=True)

    def _write(self, line: str) -> None:
        if self._stream is not None:
            self._stream.write(line + "\n")
            self._stream.flush()


def _read(path: Path, heading: str) -> dict[int, BlockResult]:
    """What an earlier check has left, without a last line that was cut short."""
    done: dict[int, BlockResult] = {}
    try:
        first, *lines = path.read_text(encoding="utf-8").split("\n")
        if first != heading:
            return {}
        for line in lines[:-1]:
            block, faults, sums = json.loads(line)
            done[int(block)] = BlockResult([Fault(*fault) for fault in faults], [int(value) for value in sums])
    except (OSError, ValueError, TypeError, RecursionError):
        pass
    return done
