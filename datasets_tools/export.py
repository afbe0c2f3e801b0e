"""A noisy set in the forms other training code reads: an image folder, lists of paths and labels, CSV, im2rec's list.

Images are named by their record: image 345 of identity 12 is ``0000012/345.jpg``, whatever the set, and images of an
outlier set are below ``outliers/``. Labels have a fixed width, so that sorting folders by name sorts them by label.

An image folder of a manifest holds the images by the label they bear. Lists name images by whom they show: so the
image folders of the base set and of the outlier set, exported once, serve the lists of all manifests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray
from tqdm import tqdm

from datasets_tools.materialize import MANIFEST_NAME
from datasets_tools.resumable import resumable_folder
from noisebench.files import whole_file, whole_folder
from noisebench.formats.face_set import FaceSet
from noisebench.noise.manifest import KINDS, Manifest
from noisebench.noise.schema import CLOSED, COLUMNS, FROM_BASE, FROM_OUTLIERS, OPEN

OUTLIER_FOLDER = "outliers"

_LABEL_DIGITS = 7  # ten million identities
_ROWS_AT_ONCE = 1 << 13
_PLAIN = pa_csv.WriteOptions(quoting_style="none", quoting_header="none")


def export_images(manifest: Manifest, base: FaceSet, outliers: FaceSet | None, out: Path) -> None:
    """Write the folder ``out``: ``<label>/<key>.jpg`` for every image, a folder for every label, and the manifest.

    Files hold the records' bytes as they are; decoders know a PNG by its bytes, not its name. An interrupted call
    leaves ``<out>.part``, and the same call goes on from there.

    Args:
        manifest: What each image shows, and the label it bears; ``key`` is its ``index``.
        base: The set the manifest was made for.
        outliers: The set its open-set images come from, if there are any.
        out: A folder that does not exist yet, or an empty one.

    Raises:
        UserError: The outlier set is missing, or the noise is drawn anew for every batch.
        FileError: The manifest was made for other data, a record is damaged, or ``out`` cannot be written.
    """
    manifest.check_against(base, outliers)
    manifest.origin.recipe.check_is_by_sample()
    with resumable_folder(out, verb="export", manifest=manifest.checksum, data=str(base.folder.resolve())) as part:
        for label in range(manifest.num_train_classes):
            (part.path / f"{label:0{_LABEL_DIGITS}}").mkdir(exist_ok=True)
        for rows in _chunks(manifest):
            _write_images(manifest, rows, {FROM_BASE: base, FROM_OUTLIERS: outliers}, part.path)
        manifest.write(part.path / MANIFEST_NAME)
        os.sync()


def export_boundaryface(manifest: Manifest, out: Path) -> None:
    """Write the folder ``out`` with the three lists that BoundaryFace's scripts make; fields are two spaces apart.

    ``data_file.txt``
        path and label of every image: what is trained on.
    ``noise_flip.txt``
        path and *true* label of every closed-set image.
    ``noise_outlier.txt``
        path and given label of every open-set image.

    Raises:
        UserError: The noise is drawn anew for every batch.
        FileError: ``out`` exists and is not an empty folder, or cannot be written.
    """
    manifest.origin.recipe.check_is_by_sample()
    every = np.ones(len(manifest), dtype=np.bool_)
    lists = {
        "data_file.txt": (every, manifest.label),
        "noise_flip.txt": (manifest.kind == CLOSED, manifest.true_label),
        "noise_outlier.txt": (manifest.kind == OPEN, manifest.label),
    }
    with whole_folder(out) as folder:
        for name, (listed, labels) in lists.items():
            with (folder / name).open("w", encoding="ascii", newline="\n") as stream:
                for rows in _chunks(manifest):
                    chosen = rows[listed[rows]]
                    named = zip(image_paths(manifest, chosen), labels[chosen].tolist(), strict=True)
                    stream.writelines(f"{path}  {label}\n" for path, label in named)


def export_lst(manifest: Manifest, out: Path) -> None:
    """Write the file ``out`` as im2rec reads it: key, label and path, with tabs between.

    Raises:
        UserError: The noise is drawn anew for every batch.
        FileError: ``out`` cannot be written.
    """
    manifest.origin.recipe.check_is_by_sample()
    with whole_file(out) as temporary, temporary.open("w", encoding="ascii", newline="\n") as stream:
        for rows in _chunks(manifest):
            columns = (manifest.index[rows].tolist(), manifest.label[rows].tolist(), image_paths(manifest, rows))
            stream.writelines(f"{key}\t{label}\t{path}\n" for key, label, path in zip(*columns, strict=True))


def export_csv(manifest: Manifest, out: Path) -> None:
    """Write the manifest's seven columns to the file ``out`` as CSV, with their names in the first line.

    Raises:
        FileError: ``out`` cannot be written.
    """
    names = pa.array(KINDS)
    types = {name: pa.string() if name == "kind" else pa.from_numpy_dtype(kind) for name, kind in COLUMNS.items()}
    with whole_file(out) as temporary, pa_csv.CSVWriter(temporary, pa.schema(types), write_options=_PLAIN) as writer:
        for rows in _chunks(manifest):
            columns = {name: pa.array(column[rows]) for name, column in manifest.columns().items()}
            writer.write_table(pa.table(columns | {"kind": names.take(columns["kind"])}))


def image_paths(manifest: Manifest, rows: NDArray[np.int64]) -> list[str]:
    """Where the image of each of these rows, [B], lies in the image folders of its base set and its outlier set."""
    columns = (manifest.source[rows], manifest.source_label[rows], manifest.source_index[rows])
    return [
        f"{f'{OUTLIER_FOLDER}/' * (source == FROM_OUTLIERS)}{label:0{_LABEL_DIGITS}}/{key}.jpg"
        for source, label, key in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _write_images(
    manifest: Manifest, rows: NDArray[np.int64], sets: Mapping[int, FaceSet | None], folder: Path
) -> None:
    """Write the images of these rows, but for those that an interrupted call has written already."""
    columns = (manifest.source, manifest.source_index, manifest.label, manifest.index)
    for source, source_key, label, key in zip(*(column[rows].tolist() for column in columns), strict=True):
        faces = sets[source]
        assert faces is not None, "check_against admits open-set rows only with an outlier set"
        jpeg, path = faces.jpeg(source_key), folder / f"{label:0{_LABEL_DIGITS}}" / f"{key}.jpg"
        if not path.exists() or path.stat().st_size != len(jpeg):
            path.write_bytes(jpeg)


def _chunks(manifest: Manifest) -> Iterator[NDArray[np.int64]]:
    """All rows with a bar, a part at a time, so that there is never a Python object for each."""
    with tqdm(total=len(manifest), desc="writing", unit="image", unit_scale=True, delay=2, disable=None) as bar:
        for first in range(0, len(manifest), _ROWS_AT_ONCE):
            rows = np.arange(first, min(first + _ROWS_AT_ONCE, len(manifest)))
            yield rows
            bar.update(len(rows))
