"""The numbers a method follows, from the steps that compute them to the state log."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from noisebench.analysis.state_log import StateLog
from noisebench.files import explained


class Monitor:
    """Keeps the numbers of each step where they were computed, until the log is written beside a checkpoint.

    Args:
        run_folder: The run's folder.
        visible: False on all processes but the first, which write nothing.
    """

    def __init__(self, run_folder: Path, *, visible: bool) -> None:
        self._log = StateLog(run_folder) if visible else None
        self._names: list[str] = []
        self._steps: list[int] = []
        self._values: list[Tensor] = []

    def add(self, step: int, numbers: dict[str, Tensor]) -> None:
        """Add what `Head.monitored` gave after a step, counted from 0. No device is waited for."""
        if self._log is not None and numbers:
            self._names = list(numbers)
            self._steps.append(step)
            self._values.append(torch.stack([number.float() for number in numbers.values()]))

    def write(self) -> None:
        """Bring what was added to disk, before the checkpoint it belongs to.

        Raises:
            FileError: It cannot be written.
        """
        if self._log is None or not self._steps:
            return
        rows = torch.stack(self._values).tolist()
        for step, row in zip(self._steps, rows, strict=True):
            self._log.append(step, dict(zip(self._names, row, strict=True)))
        with explained(self._log.path):
            self._log.flush()
        self._steps, self._values = [], []

    def go_on_from(self, step: int) -> None:
        """Forget that step and all after it, which are to come again."""
        if self._log is not None:
            self._log.truncate(step)
