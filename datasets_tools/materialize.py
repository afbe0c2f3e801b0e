"""A manifest as a data set of its own: RecordIO that any training code reads, noisy labels and images included.

The new set is in the InsightFace layout, as arcface_torch, RobustFace's and AdaFace's code read it. Its images are
numbered 1, 2, ... in order of the label they bear, and among those of one label in order of the manifest: so each
identity's record names its range, and ``rows.parquet`` says which key is which row of the manifest. The bytes of
the images are copied as they are.

In the file the records stand in the order of the base set's file, then those of the outlier set's: both are read and
written from begin to end. Above 2^24 records, where float32 cannot count the header's ranges, the set has the im2rec
layout: key = row of the manifest, no header, as arcface_torch reads it too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from datasets_tools.copy_records import CopiedBlock, RecordCopier
from datasets_tools.resumable import PartialFolder, resumable_folder
from noisebench.errors import FileError
from noisebench.files import write_text
from noisebench.formats.face_set import FaceSet, write_ranges
from noisebench.formats.layouts import layout_for
from noisebench.formats.recordio import RecordWriter
from noisebench.noise.manifest import Manifest
from noisebench.noise.schema import FROM_BASE, FROM_OUTLIERS

MANIFEST_NAME = "manifest.parquet"
ROWS_NAME = "rows.parquet"

_BYTES_PER_SAVE = 1 << 29
"""About so much is copied again after an interruption."""


def materialize(manifest: Manifest, base: FaceSet, outliers: FaceSet | None, out: Path) -> None:
    """Write the noisy set that a manifest describes into the folder ``out``, whole or not at all.

    Written are ``train.rec``, ``train.idx`` and ``property``, the manifest, ``rows.parquet`` (``key`` of each record,
    ``row`` of the manifest, both int64, ascending by key), and copies of the base set's verification sets. An
    interrupted call leaves ``<out>.part``, and the same call goes on from there.

    Args:
        manifest: What each image shows, and the label it bears.
        base: The set the manifest was made for.
        outliers: The set its open-set images come from, if there are any.
        out: A folder that does not exist yet, or an empty one.

    Raises:
        UserError: The outlier set is missing.
        FileError: The manifest was made for other data, a record is damaged, or ``out`` cannot be written.
    """
    manifest.check_against(base, outliers)
    manifest.origin.recipe.check_is_by_sample()
    num_classes = manifest.num_train_classes
    keys, has_ranges = _keys(manifest)
    with resumable_folder(out, verb="materialize", manifest=manifest.checksum, data=str(base.folder.resolve())) as part:
        _copy_images(part, list(_copiers(manifest, keys, base, outliers)))
        with RecordWriter(part.path / "train.rec", append=True) as writer:
            if has_ranges:
                write_ranges(writer, np.bincount(manifest.label, minlength=num_classes))
            writer.sync()
        write_text(part.path / "property", "{},{},{}\n".format(num_classes, *base.image_size))
        manifest.write(part.path / MANIFEST_NAME)
        _write_rows(part.path / ROWS_NAME, keys)
        for verification_set in sorted(base.folder.glob("*.bin")):
            shutil.copyfile(verification_set, part.path / verification_set.name)


def different_sizes(manifest: Manifest, base: FaceSet, outliers: FaceSet | None) -> str | None:
    """What to warn of where the outliers' images are not as large as the base set's; None if they are."""
    if outliers is None or manifest.origin.fingerprints.outliers is None or outliers.image_size == base.image_size:
        return None
    theirs, ours = ("x".join(map(str, faces.image_size)) for faces in (outliers, base))
    return (
        f"the outliers' images are {theirs}, those of the data set {ours}: they are copied as they are, so training"
        " code that does not resize cannot put them into one batch"
    )


def _keys(manifest: Manifest) -> tuple[NDArray[np.int64], bool]:
    """The key of each row's record, int64 [N], and whether identities have ranges of keys."""
    num_images = len(manifest)
    if layout_for(num_images, manifest.num_train_classes) == "im2rec":
        return np.arange(num_images), False
    keys = np.empty(num_images, dtype=np.int64)
    keys[np.argsort(manifest.label, kind="stable")] = np.arange(1, num_images + 1)
    return keys, True


def _copiers(
    manifest: Manifest, keys: NDArray[np.int64], base: FaceSet, outliers: FaceSet | None
) -> Iterator[RecordCopier]:
    """What is copied from the base set, then what from the outlier set."""
    for source, faces in ((FROM_BASE, base), (FROM_OUTLIERS, outliers)):
        rows = np.flatnonzero(manifest.source == source)
        if faces is not None and len(rows):
            yield RecordCopier(faces.records, manifest.source_index[rows], keys[rows], manifest.label[rows])


def _copy_images(part: PartialFolder, copiers: list[RecordCopier]) -> None:
    """Copy what is not copied yet, noting now and then how far it has come."""
    copied = first = part.done.get("images", 0)
    total = sum(map(len, copiers))
    with (
        _reopen(part.path / "train.rec", part.done.get("rec_bytes", 0)) as rec,
        _reopen(part.path / "train.idx", part.done.get("idx_bytes", 0)) as idx,
        ThreadPoolExecutor(1) as saver,  # the disk writes what is copied while more is copied
        tqdm(total=total, initial=first, desc="copying", unit="image", unit_scale=True, disable=None) as bar,
    ):
        saving = _save(saver, part, copied, rec, idx)
        for copier in copiers:
            for block in _ahead(copier.blocks(min(first, len(copier)))):
                idx.write(_index_lines(block, begin=rec.tell()))
                rec.write(block.data.data)
                copied += len(block.keys)
                bar.update(len(block.keys))
                if saving.done() and rec.tell() - part.done["rec_bytes"] >= _BYTES_PER_SAVE:
                    saving.result()
                    saving = _save(saver, part, copied, rec, idx)
            first = max(0, first - len(copier))
        saving.result()
        _save(saver, part, copied, rec, idx).result()


def _ahead(blocks: Iterator[CopiedBlock]) -> Iterator[CopiedBlock]:
    """The same blocks, each made by another thread while the one before is written."""
    with ThreadPoolExecutor(1) as beside:
        upcoming = beside.submit(next, blocks, None)
        while (block := upcoming.result()) is not None:
            upcoming = beside.submit(next, blocks, None)
            yield block


def _save(saver: Executor, part: PartialFolder, copied: int, rec: BinaryIO, idx: BinaryIO) -> Future[None]:
    """Let ``saver`` bring to the disk what is written so far, and note that it is there."""
    for stream in (rec, idx):
        stream.flush()
    done = {"images": copied, "rec_bytes": rec.tell(), "idx_bytes": idx.tell()}

    def bring_to_disk() -> None:
        for stream in (rec, idx):
            os.fsync(stream.fileno())
        part.save(**done)

    return saver.submit(bring_to_disk)


@contextmanager
def _reopen(path: Path, size: int) -> Iterator[BinaryIO]:
    """A file to append to, cut back to the size it is known to have been written to."""
    with path.open("ab") as stream:
        if stream.tell() < size:
            raise FileError(path, f"has fewer than the {size} bytes that were written", f"remove {path.parent}")
        stream.truncate(size)
        stream.seek(size)
        yield stream


def _index_lines(block: CopiedBlock, begin: int) -> bytes:
    """A block's lines of the index, if it begins at this byte."""
    offsets = begin + block.offsets
    return "".join(map("{}\t{}\n".format, block.keys.tolist(), offsets.tolist())).encode()


def _write_rows(path: Path, keys: NDArray[np.int64]) -> None:
    order = np.argsort(keys)
    pq.write_table(pa.table({"key": keys[order], "row": order}), path, compression="zstd")
