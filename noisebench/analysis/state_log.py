"""The state log: a few numbers that a method follows, such as RobustFace's φ and m1, at every step of training.

``state.csv`` in a run's folder has a column ``step`` (counted from 0 over all epochs) and one for each number. It is
only ever appended to, so what a stopped run wrote stays; a resumed run first cuts it back to the step it goes on from.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from pyarrow import csv

from noisebench.errors import FileError
from noisebench.files import whole_file

STATE_FILE = "state.csv"


class StateLog:
    """Writes the state log of a run; only one of the training processes does.

    Args:
        run_folder: The run's folder.
    """

    def __init__(self, run_folder: Path) -> None:
        self.path = run_folder / STATE_FILE
        self._header = self._read_header()
        self._lines: list[str] = []
        self._last_step = -1

    def append(self, step: int, values: Mapping[str, float]) -> None:
        """Add the numbers of a step; they are in memory until `flush`.

        Args:
            step: Larger than that of the call before.
            values: By name; the names are those of the first call, also of a run's earlier sittings.
        """
        header = ",".join(["step", *values])
        if self._header is None and all(name.isidentifier() for name in values):
            self._header = header
        if header != self._header or step <= self._last_step:
            raise ValueError(f"step {step} with '{header}' after step {self._last_step} with '{self._header}'")
        self._lines.append(",".join([str(step), *(repr(float(value)) for value in values.values())]))
        self._last_step = step

    def flush(self) -> None:
        """Bring what was appended to disk, before the checkpoint it belongs to is written."""
        if not self._lines:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="ascii") as stream:
            if stream.tell() == 0:
                stream.write(f"{self._header}\n")
            stream.write("".join(f"{line}\n" for line in self._lines))
            stream.flush()
            os.fsync(stream.fileno())
        self._lines = []

    def truncate(self, step: int) -> None:
        """Forget that step and all after it: a run goes on from there. A line that was cut short goes, too."""
        self._lines = []
        self._last_step = step - 1
        if not self.path.is_file():
            self._header = None
            return
        kept = []
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream):
                if not line.endswith(b"\n") or (number and int(line.split(b",")[0]) >= step):
                    break
                kept.append(line)
        with whole_file(self.path) as temporary:
            temporary.write_bytes(b"".join(kept))
        self._header = self._read_header()

    def _read_header(self) -> str | None:
        if not self.path.is_file():
            return None
        with self.path.open(encoding="ascii") as stream:
            return stream.readline().removesuffix("\n") or None


def read_state(run_folder: Path) -> pd.DataFrame:
    """The state log of a run: ``step`` (int64, ascending), then the method's numbers (float64).

    Raises:
        FileError: There is none, or it is damaged. A last line cut short is left out.
    """
    path = run_folder / STATE_FILE
    if not path.is_file():
        raise FileError(path, "no state log here", "the method follows no numbers, or the run is older")
    content = path.read_bytes()
    try:
        table = csv.read_csv(io.BytesIO(content[: content.rfind(b"\n") + 1]))
        frame: pd.DataFrame = table.to_pandas().astype(np.float64).astype({"step": np.int64})
    except (ValueError, KeyError) as error:
        raise FileError(path, f"damaged state log: {' '.join(str(error).split())}") from error
    if (np.diff(frame["step"]) <= 0).any():
        raise FileError(path, "damaged state log: its steps do not ascend")
    return frame


def thinned(state: pd.DataFrame, points: int = 1000) -> pd.DataFrame:
    """At most so many rows of a state log, to draw: means over equal runs of steps, at the first step of each."""
    length = max(1, -(-len(state) // points))
    group = np.arange(len(state)) // length
    means = state.groupby(group).mean()
    means["step"] = state["step"].groupby(group).first()
    return means
