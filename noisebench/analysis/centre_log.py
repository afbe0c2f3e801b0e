"""The centre log: how far every class centre has moved, one Parquet file an epoch.

``centres/epoch=NNN.parquet`` in a run's folder, epochs counted from 0, one row a class:

==================  =======  =====================================================================================
``label``           int32    the class
``angle_previous``  float32  angle in radians to its centre at the end of the epoch before; null in the first epoch
``angle_first``     float32  angle in radians to its centre at the end of the first epoch
==================  =======  =====================================================================================
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.files import whole_file

FOLDER = "centres"
NO_LOG = "a run writes it at the end of each epoch: it has finished none yet, or the log was removed"
SCHEMA = pa.schema({"label": pa.int32(), "angle_previous": pa.float32(), "angle_first": pa.float32()})


class CentreLog:
    """Writes the log of a run; only one of the training processes does.

    It keeps nothing in memory: the normalised centres of the epochs stand beside the log as
    ``reference/epoch=NNN.npy``, so a resumed run goes on where it stopped, even if it repeats some epochs. `forget`
    removes those no longer needed.

    Args:
        run_folder: The run's folder.
    """

    def __init__(self, run_folder: Path) -> None:
        self.folder = run_folder / FOLDER

    def append(self, epoch: int, centres: NDArray[np.floating]) -> Path:
        """Log the centres at the end of an epoch.

        Args:
            epoch: Counted from 0.
            centres: [C, D], need not be normalised.
        """
        if centres.ndim != 2:
            raise ValueError(f"centres of shape {centres.shape}: expected [C, D]")
        current = _normalise(centres)
        with whole_file(self._reference(epoch)) as temporary, temporary.open("wb") as stream:
            np.save(stream, current)
        earlier = [number for number in self._references() if number < epoch]
        no_angle = np.full(len(current), np.nan)
        columns = (
            np.arange(len(current)),
            angles(current, self._load(epoch - 1)) if epoch - 1 in earlier else no_angle,
            angles(current, self._load(earlier[0])) if earlier else np.zeros(len(current)),
        )
        arrays = [pa.array(column, field.type, from_pandas=True) for column, field in zip(columns, SCHEMA, strict=True)]
        path = self.folder / f"epoch={epoch:03d}.parquet"
        with whole_file(path) as temporary:
            pq.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), temporary, compression="zstd")
        return path

    def forget(self, before: int) -> None:
        """Remove the centres that no run going on from epoch ``before`` or later needs."""
        for outdated in self._references()[1:]:
            if outdated < before - 1:
                self._reference(outdated).unlink()

    def _load(self, epoch: int) -> NDArray[np.float32]:
        reference: NDArray[np.float32] = np.load(self._reference(epoch), mmap_mode="r", allow_pickle=False)
        return reference

    def _reference(self, epoch: int) -> Path:
        return self.folder / "reference" / f"epoch={epoch:03d}.npy"

    def _references(self) -> list[int]:
        return [_epoch_of(file) for file in _of_epochs(self.folder / "reference", ".npy")]


def read_centres(run_folder: Path) -> pd.DataFrame:
    """The centre log of a run: the columns of the files, a null being NaN, after a column ``epoch`` (int32).

    Raises:
        FileError: There is none, or a file of it is damaged.
    """
    files = _of_epochs(run_folder / FOLDER, ".parquet")
    if not files:
        raise FileError(run_folder / FOLDER, "no centre log here", NO_LOG)
    return pd.concat([_read_file(file) for file in files], ignore_index=True)


def angles(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Angles in radians between the unit rows of two arrays [N, D].

    From the chord between them: the arccosine of a float32 inner product loses small angles (below 3e-4 rad).
    """
    chord = np.linalg.norm(a - b, axis=1)
    return np.asarray(2 * np.arcsin(np.minimum(chord / 2, 1)), np.float32)


def _read_file(path: Path) -> pd.DataFrame:
    try:
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(SCHEMA):
                raise FileError(path, f"not a centre log: its columns are {', '.join(file.schema_arrow.names)}")
            frame: pd.DataFrame = file.read().to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise FileError(path, "damaged centre log: " + " ".join(str(error).split())) from error
    frame.insert(0, "epoch", np.int32(_epoch_of(path)))
    return frame


def _of_epochs(folder: Path, ending: str) -> list[Path]:
    """The files of single epochs in a folder, ascending; no others, such as copies of them."""
    files = folder.glob(f"epoch=*{ending}")
    return sorted((file for file in files if file.stem.removeprefix("epoch=").isdecimal()), key=_epoch_of)


def _epoch_of(file: Path) -> int:
    return int(file.stem.removeprefix("epoch="))


def _normalise(centres: NDArray[np.floating]) -> NDArray[np.float32]:
    vectors = centres.astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return vectors
