"""One cell of a bench: what to run, where its input lies, and the folder that is named by its content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from noisebench.bench.record import RunRecord
from noisebench.config import Settings
from noisebench.files import write_text
from noisebench.training.settings import BackboneSettings, TrainingSettings

CELL_FILE = "cell.json"
FAILURE_FILE = "failure.txt"  # where a process other than the first says why it failed


class MethodChoice(Settings):
    """A method with every option resolved."""

    name: str
    options: dict[str, Any]


class RunConfig(Settings):
    """The resolved configuration of a run, as recorded and hashed."""

    method: MethodChoice
    backbone: BackboneSettings
    training: TrainingSettings


class Inputs(Settings):
    """Where a cell's input lies on this machine; no part of its name."""

    data: Path
    outliers: Path | None
    manifest: Path
    test_sets: tuple[str, ...]  # as noisebench.evaluation.test_set reads them
    reader: str
    device: str
    timeout_minutes: float = 10.0  # how long processes wait for each other
    checkpoint_minutes: float = 5.0  # between checkpoints within an epoch; each epoch ends with one in any case
    keep_checkpoints: int = 2  # of the last, beside the best


class Cell(Settings):
    """A run that is planned, or was.

    Attributes:
        folder: The run's folder.
        inputs: Where its input lies.
        record: What it is; its result once it is done.
    """

    folder: Path
    inputs: Inputs
    record: RunRecord

    @property
    def config(self) -> RunConfig:
        """The resolved configuration."""
        return RunConfig.model_validate(self.record.config)

    @property
    def label(self) -> str:
        """Method and seed, as printed."""
        return f"{self.record.method}, seed {self.record.seed}"

    def finished(self) -> RunRecord | None:
        """The record of the finished run, if there is one."""
        record = self.stored()
        return record if record is not None and record.status == "done" else None

    def stored(self) -> RunRecord | None:
        """The record in the run's folder, if there is one."""
        return RunRecord.read(self.folder) if (self.folder / "result.json").is_file() else None

    def write(self) -> None:
        """Lay the cell down in its folder, for the processes that will run it."""
        write_text(self.folder / CELL_FILE, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Cell:
        """The cell that `write` laid down."""
        return cls.model_validate_json((folder / CELL_FILE).read_bytes())


def content_hash(content: dict[str, Any]) -> str:
    """SHA-256 of plain values, independent of the order of keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def run_folder(results: Path, record: RunRecord) -> Path:
    """``runs/<suite>/<noise>/<method>/seed<k>-<hash8>`` below the results folder."""
    return results / "runs" / record.suite / record.noise / record.method / f"seed{record.seed}-{record.hash[:8]}"
