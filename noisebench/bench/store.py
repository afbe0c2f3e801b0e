"""Finding runs again: everything a results folder holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from noisebench.bench.record import RECORD_FILE, RunRecord
from noisebench.errors import FileError
from noisebench.noise.manifest import Manifest


@dataclass(frozen=True)
class Run:
    """A run as it stands on disk.

    Attributes:
        folder: Where its record and logs are.
        record: What it was and what came of it.
    """

    folder: Path
    record: RunRecord

    def manifest(self) -> Manifest:
        """The noise manifest it was trained with."""
        noise_folder = self.folder.parents[1]
        return Manifest.read(noise_folder / f"manifest-{self.record.manifest_checksum[:8]}.parquet")


def all_runs(results: Path) -> list[Run]:
    """Every run below a results folder, ordered by path.

    Raises:
        FileError: There is none.
    """
    folders = sorted(path.parent for path in (results / "runs").glob(f"*/*/*/*/{RECORD_FILE}"))
    if not folders:
        raise FileError(results / "runs", "holds no runs yet", "make some with 'noisebench bench'")
    return [Run(folder, RunRecord.read(folder)) for folder in folders]
