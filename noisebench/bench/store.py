"""Finding runs again: everything a results folder holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from noisebench.bench.record import RECORD_FILE, RunRecord
from noisebench.errors import FileError
from noisebench.noise.manifest import Manifest
from noisebench.noise.per_batch import BatchNoise


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
        return Manifest.read(
            manifest_path(self.folder.parents[1], self.record.manifest_checksum, self.record.noise_per_batch)
        )


def manifest_path(noise_folder: Path, checksum: str, per_batch: BatchNoise | None) -> Path:
    """Where a bench keeps the manifest that its runs under a noise were trained with."""
    name = f"manifest-{checksum[:8]}"
    if per_batch is not None:  # all manifests of such noise have the same columns, and so the same checksum
        name += f"-closed{per_batch.closed}-open{per_batch.open}-of{per_batch.batch_size}-seed{per_batch.seed}"
    return noise_folder / f"{name}.parquet"


def run_folders(results: Path) -> list[Path]:
    """The folders of all runs below a results folder, ordered by path; none is no mistake."""
    return sorted(path.parent for path in (results / "runs").glob(f"*/*/*/*/{RECORD_FILE}"))


def all_runs(results: Path) -> list[Run]:
    """Every run below a results folder, ordered by path.

    Raises:
        FileError: There is none.
    """
    folders = run_folders(results)
    if not folders:
        raise FileError(results / "runs", "holds no runs yet", "make some with 'noisebench bench'")
    return [Run(folder, RunRecord.read(folder)) for folder in folders]
