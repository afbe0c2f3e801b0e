"""The sample log: where every training image stood in every epoch, one Parquet file an epoch and rank.

``samples/epoch=NNN/rank=R.parquet`` in a run's folder, epochs counted from 0, rows sorted by manifest row:

================  =======  ==========================================================================
``row``           int64    row of the noise manifest
``angle_label``   float32  angle in radians to the centre of the class given as label
``angle_true``    float32  angle to the centre of the true class; null for an image of no class here
``angle_nearest`` float32  angle to the nearest centre of another class than the one given
``nearest``       int32    that class
``norm``          float32  norm of the raw embedding
``used_label``    int32    the label the loss used, after correction if the method corrects
================  =======  ==========================================================================

Where noise is drawn by batch, the manifest cannot say what was done to an image in this epoch, and three more columns
do; for another noise they are not there:

=================  ==========  ==================================================================================
``exposure``       dictionary  clean, closed or open: what was done to the image this time, as a manifest's ``kind``
``label``          int32       the label given
``outlier_index``  int64       key in the outlier set of the image shown instead; null where it was the row's own
=================  ==========  ==================================================================================

A method with several centres a class adds

==============  =====  ===========================================================================================
``sub_centre``  int16  which centre of the class given as label is nearest to the image, from 0
==============  =====  ===========================================================================================

A training set of 5.8 million images may cost 80 MB an epoch, 13.8 bytes a row; it costs about 11, half a byte more with
noise by batch. For that, angles are rounded to 1/2048 rad (at most 0.014 degrees off) and norms to 11 significant
bits. They stay ordinary float32 columns, but with their bytes split into streams (BYTE_STREAM_SPLIT) the zeros at their
ends vanish under zstd. Sorting by row makes ``row`` and, in a set sorted by identity, ``used_label`` nearly free.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from noisebench.analysis.centre_log import NO_LOG
from noisebench.errors import FileError, UserError, did_you_mean
from noisebench.files import whole_file
from noisebench.noise.manifest import KINDS, Manifest
from noisebench.noise.per_batch import NO_OUTLIER

FOLDER = "samples"
SCHEMA = pa.schema(
    {
        "row": pa.int64(),
        "angle_label": pa.float32(),
        "angle_true": pa.float32(),
        "angle_nearest": pa.float32(),
        "nearest": pa.int32(),
        "norm": pa.float32(),
        "used_label": pa.int32(),
    }
)
COLUMNS = tuple(SCHEMA.names)
PER_BATCH_SCHEMA = pa.schema(
    [
        *SCHEMA,
        pa.field("exposure", pa.dictionary(pa.int8(), pa.string())),
        pa.field("label", pa.int32()),
        pa.field("outlier_index", pa.int64()),
    ]
)
"""Of a run whose noise is drawn by batch."""
SUB_CENTRE = pa.field("sub_centre", pa.int16())
FLOAT_COLUMNS = [field.name for field in SCHEMA if field.type == pa.float32()]
INTEGER_COLUMNS = [field.name for field in PER_BATCH_SCHEMA if field.type in (pa.int32(), pa.int64())]
ALL_COLUMNS = [*PER_BATCH_SCHEMA.names, SUB_CENTRE.name]
ANGLE_STEPS = 2048  # a radian
NORM_STEPS = 2048  # a power of two
ROWS_PER_GROUP = 1 << 20
AGAIN = "remove it and train that epoch anew"


class SampleLog:
    """Collects the rows of an epoch in memory (32 bytes each) and writes them when it closes.

    Args:
        run_folder: The run's folder.
        rank: Which of the training processes this is; each writes its own file.
        per_batch: Whether noise is drawn by batch, so that each batch comes with its exposures (13 bytes more a row).
        sub_centres: Whether the method has several centres a class, so that each batch says which are nearest.
    """

    def __init__(self, run_folder: Path, rank: int = 0, *, per_batch: bool = False, sub_centres: bool = False) -> None:
        self.run_folder = run_folder
        self.rank = rank
        self.schema = _schema(per_batch=per_batch, sub_centres=sub_centres)
        self._batches: list[tuple[NDArray[Any], ...]] = []

    def append(
        self,
        row: NDArray[np.integer],
        *,
        cosine_label: NDArray[np.floating],
        cosine_true: NDArray[np.floating],
        cosine_nearest: NDArray[np.floating],
        nearest: NDArray[np.integer],
        norm: NDArray[np.floating],
        used_label: NDArray[np.integer],
        exposure: NDArray[np.integer] | None = None,
        label: NDArray[np.integer] | None = None,
        outlier_index: NDArray[np.integer] | None = None,
        sub_centre: NDArray[np.integer] | None = None,
    ) -> None:
        """Add a batch of B rows; every array is [B].

        ``exposure``, ``label`` and ``outlier_index`` go with noise by batch, ``sub_centre`` with several centres a
        class, and with those alone.

        Args:
            row: Rows of the manifest.
            cosine_label: Cosine to the centre of the label given.
            cosine_true: Cosine to the centre of the true class; NaN where there is none.
            cosine_nearest: Cosine to the nearest centre of another class than the label given.
            nearest: That class.
            norm: Norm of the raw embedding.
            used_label: The label the loss used.
            exposure: What was done to the image this time, codes into ``KINDS``.
            label: The label given.
            outlier_index: Key of the outlier image shown instead, negative where there was none.
            sub_centre: Which centre of the label is nearest, from 0.
        """
        batch: tuple[NDArray[Any], ...] = (
            row.astype(np.int64),
            _angle(cosine_label),
            _angle(cosine_true),
            _angle(cosine_nearest),
            nearest.astype(np.int32),
            _round_norm(norm),
            used_label.astype(np.int32),
        )
        if exposure is not None and label is not None and outlier_index is not None:
            batch += (exposure.astype(np.int8), label.astype(np.int32), outlier_index.astype(np.int64))
        if sub_centre is not None:
            batch += (sub_centre.astype(np.int16),)
        if len(batch) != len(self.schema):
            raise ValueError(f"columns were given or left out that this log is not of: expected {self.schema.names}")
        if any(column.shape != (len(row),) for column in batch):
            shapes = {name: column.shape for name, column in zip(self.schema.names, batch, strict=True)}
            raise ValueError(f"columns of one batch differ in shape: {shapes}")
        self._batches.append(batch)

    def close_epoch(self, epoch: int, num_ranks: int | None = None) -> Path:
        """Write the rows appended since the last epoch closed, whole or not at all, and forget them.

        Args:
            epoch: Counted from 0.
            num_ranks: How many ranks log it. If more did when it was logged before, the first removes what they left.
        """
        columns = [np.concatenate(parts) for parts in zip(*self._batches, strict=True)] if self._batches else None
        table = self.schema.empty_table() if columns is None else _table(columns, self.schema)
        path = _file(epoch_folder(self.run_folder, epoch), self.rank)
        with whole_file(path) as temporary:
            pq.write_table(
                table,
                temporary,
                row_group_size=ROWS_PER_GROUP,
                compression="zstd",
                use_dictionary=[name for name in self.schema.names if name == "exposure"],
                use_byte_stream_split=FLOAT_COLUMNS,
                column_encoding={name: "DELTA_BINARY_PACKED" for name in self.schema.names if name in INTEGER_COLUMNS},
            )
        self._batches = []
        if self.rank == 0 and num_ranks is not None:
            for file in set(path.parent.glob("rank=*.parquet")) - {
                _file(path.parent, rank) for rank in range(num_ranks)
            }:
                file.unlink()
        return path


def epoch_folder(run_folder: Path, epoch: int) -> Path:
    """The folder of an epoch's log."""
    return run_folder / FOLDER / f"epoch={epoch:03d}"


def _file(folder: Path, rank: int) -> Path:
    return folder / f"rank={rank}.parquet"


def logged_epochs(run_folder: Path) -> list[int]:
    """The epochs a run has logged, ascending.

    Raises:
        FileError: There is none.
    """
    epochs = sorted(
        int(folder.name.removeprefix("epoch="))
        for folder in (run_folder / FOLDER).glob("epoch=*")
        if folder.name.removeprefix("epoch=").isdecimal() and any(folder.glob("rank=*.parquet"))
    )
    if not epochs:
        raise FileError(run_folder / FOLDER, "no sample log here", NO_LOG)
    return epochs


def read_samples(run_folder: Path, epoch: int | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The sample log of a run, all ranks together, sorted by epoch and row.

    Args:
        run_folder: The run's folder.
        epoch: One epoch, or None for all of them.
        columns: Which columns to read; None for all. A column ``epoch`` (int32) comes first in any case.

    Returns:
        One line a sample and epoch; a null ``angle_true`` is NaN, a null ``outlier_index`` -1.

    Raises:
        UserError: A column is unknown, or is none of this run's: see the head of this file.
        FileError: There is no log, not that epoch, or a file is damaged.
    """
    if columns is not None:
        for name in columns:
            if name not in ALL_COLUMNS:
                raise UserError(f"the sample log has no column '{name}': {did_you_mean(name, ALL_COLUMNS)}")
    epochs = logged_epochs(run_folder)
    if epoch is not None and epoch not in epochs:
        raise FileError(run_folder / FOLDER, f"no sample log of epoch {epoch}: there are {epochs[0]} to {epochs[-1]}")
    frames = [_read_epoch(run_folder, number, columns) for number in (epochs if epoch is None else [epoch])]
    return pd.concat(frames, ignore_index=True)


def read_joined(
    run_folder: Path, manifest: Manifest, epoch: int | None = None, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """The columns of `read_samples` and those of `join_manifest`, wherever these come from; errors as theirs."""
    if columns is not None:
        needed = ("row", "exposure", "label") if manifest.origin.recipe.per_batch is not None else ("row",)
        columns = [*columns, *(name for name in needed if name not in columns)]
    return join_manifest(read_samples(run_folder, epoch, columns), manifest)


def join_manifest(samples: pd.DataFrame, manifest: Manifest) -> pd.DataFrame:
    """The samples with what was done to each: columns ``kind`` (categorical), ``label`` and ``true_label``.

    Where noise is drawn by batch, what was done is what the log says of the exposure, not what the manifest says.

    Args:
        samples: Of `read_samples`; with noise by batch, ``exposure`` and ``label`` among its columns.
        manifest: The run's.

    Raises:
        UserError: A row lies outside the manifest, or only one of the two has noise by batch: it is of another run.
    """
    row = samples["row"].to_numpy()
    if len(outside := row[(row < 0) | (row >= len(manifest))]):
        problem = f"the sample log holds row {outside.max()}, but the manifest has only {len(manifest)} rows"
        raise UserError(f"{problem}: it is another run's manifest")
    is_per_batch = manifest.origin.recipe.per_batch is not None
    if is_per_batch != ("exposure" in samples):
        where = "manifest" if is_per_batch else "sample log"
        raise UserError(f"the noise is by batch in the {where} alone: it is another run's manifest")
    if is_per_batch:
        return samples.assign(kind=samples["exposure"], true_label=manifest.true_label[row])
    return samples.assign(
        kind=pd.Categorical.from_codes(manifest.kind[row], categories=pd.Index(KINDS)),
        label=manifest.label[row],
        true_label=manifest.true_label[row],
    )


def _read_epoch(run_folder: Path, epoch: int, columns: Sequence[str] | None) -> pd.DataFrame:
    files = sorted(epoch_folder(run_folder, epoch).glob("rank=*.parquet"))
    frame: pd.DataFrame = pa.concat_tables([_read_file(file, columns) for file in files]).to_pandas()
    if "exposure" in frame:
        frame["exposure"] = frame["exposure"].cat.set_categories(list(KINDS))
    if len(files) > 1:
        frame = frame.sort_values("row", kind="stable", ignore_index=True)
    frame.insert(0, "epoch", np.full(len(frame), epoch, np.int32))
    return frame if columns is None else frame.loc[:, ["epoch", *columns]]


def _read_file(path: Path, columns: Sequence[str] | None) -> pa.Table:
    """Columns of a file, ``row`` always among them; all for None."""
    try:
        with pq.ParquetFile(path) as file:
            there = file.schema_arrow.names
            expected = _schema(per_batch="exposure" in there, sub_centres=SUB_CENTRE.name in there)
            if not file.schema_arrow.equals(expected):
                raise FileError(path, f"not a sample log: its columns are {', '.join(there)}")
            if missing := set(columns or ()) - set(there):
                raise FileError(path, f"has no column '{min(missing)}': {_why_not_there(min(missing))}")
            table = file.read(None if columns is None else [name for name in there if name in ("row", *columns)])
            for name in table.column_names:
                if name not in (*FLOAT_COLUMNS, "outlier_index") and table[name].null_count:
                    raise FileError(path, f"damaged sample log: cells of its column '{name}' are empty", AGAIN)
            if "outlier_index" not in table.column_names:
                return table
            place = table.column_names.index("outlier_index")
            return table.set_column(place, "outlier_index", table["outlier_index"].fill_null(NO_OUTLIER))
    except (pa.ArrowException, OSError) as error:
        problem = " ".join(str(error).split())
        raise FileError(path, f"damaged sample log: {problem}", AGAIN) from error


def _schema(*, per_batch: bool, sub_centres: bool) -> pa.Schema:
    schema = PER_BATCH_SCHEMA if per_batch else SCHEMA
    return schema.append(SUB_CENTRE) if sub_centres else schema


def _why_not_there(column: str) -> str:
    if column == SUB_CENTRE.name:
        return "the method of this run has one centre a class"
    return "the noise of this run is not by batch"


def _table(columns: list[NDArray[Any]], schema: pa.Schema) -> pa.Table:
    """The columns of an epoch as a table sorted by row; NaN angles and the keys of no outlier as null."""
    order = np.argsort(columns[0], kind="stable")
    arrays = [_array(column[order], field) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(column: NDArray[Any], field: pa.Field) -> pa.Array:
    if field.name == "exposure":
        return pa.DictionaryArray.from_arrays(pa.array(column), pa.array(KINDS))
    if field.name == "outlier_index":
        return pa.array(column, mask=column < 0)
    return pa.array(column, field.type, from_pandas=True)


def _angle(cosine: NDArray[np.floating]) -> NDArray[np.float32]:
    angle = np.arccos(np.clip(cosine, -1, 1))
    return np.asarray(np.rint(angle * ANGLE_STEPS) / ANGLE_STEPS, np.float32)


def _round_norm(norm: NDArray[np.floating]) -> NDArray[np.float32]:
    significand, exponent = np.frexp(norm)
    return np.asarray(np.ldexp(np.rint(significand * NORM_STEPS) / NORM_STEPS, exponent), np.float32)
