"""Where a run stands: ``progress.json`` in its folder, written by the first process every few seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from noisebench.config import Settings
from noisebench.files import write_text

PROGRESS_FILE = "progress.json"
Phase = Literal["start", "train", "checkpoint", "log", "test"]


class Heartbeat(Settings):
    """What a run was doing a moment ago."""

    step: int = Field(ge=0, description="Finished steps, over the whole run.")
    steps: int = Field(ge=0, description="Steps of the whole run.")
    epoch: int = Field(ge=0, description="The epoch under way, counted from 0.")
    epochs: int = Field(ge=0)
    images_per_second: float = Field(ge=0, description="Over all processes and this sitting; 0 before the first step.")
    phase: Phase
    host: str
    pid: int
    updated: str = Field(description="UTC, ISO 8601; of one that is alive, seconds ago.")

    @property
    def age_seconds(self) -> float:
        """Seconds since it was written."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.updated)).total_seconds()

    def write(self, folder: Path) -> None:
        """Put it in a run's folder, whole or not at all."""
        write_text(folder / PROGRESS_FILE, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Heartbeat | None:
        """The one in a run's folder; None where there is none, or none that can be read."""
        try:
            return cls.model_validate_json((folder / PROGRESS_FILE).read_bytes())
        except (OSError, ValidationError):
            return None
