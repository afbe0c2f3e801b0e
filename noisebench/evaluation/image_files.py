"""Embeddings of image files, as a backbone makes them of aligned faces: how alike two are, and tables of many."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from noisebench.errors import FileError, did_you_mean
from noisebench.evaluation.embed import Embedder, Features, Flip
from noisebench.files import whole_file
from noisebench.formats import jpeg
from noisebench.formats.jpeg import Image

SUFFIXES = (".jpg", ".jpeg", ".png")
MOST_BYTES = 64 << 20
"""Of an image file: as many as the pixels of the largest image that is decoded, and more."""

_NAME = 20  # characters of an image's name in a matrix


def similarity(embedder: Embedder, files: list[Path]) -> NDArray[np.float64]:
    """Cosines between the embeddings of images, [N, N]; mirror images are left out.

    Raises:
        FileError: A file is missing, or no image.
    """
    vectors = embedder.embed(images(files), "none").astype(np.float64)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return np.asarray(np.clip(unit @ unit.T, -1.0, 1.0))


def matrix_text(cosines: NDArray[np.float64], files: list[Path]) -> str:
    """A matrix of cosines to read, a row and a column an image; of a long name the end is shown, where names differ."""
    names = [file.name if len(file.name) <= _NAME else f"…{file.name[1 - _NAME :]}" for file in files]
    wide = max(map(len, names))
    columns = [max(len(name), len("-0.0000")) for name in names]
    rows = [[f"{cosine:.4f}" for cosine in row] for row in cosines]
    return "\n".join(
        "  ".join([f"{name:{wide}}", *(f"{entry:>{column}}" for entry, column in zip(row, columns, strict=True))])
        for name, row in zip(["", *names], [names, *rows], strict=True)
    )


def write_embeddings(embedder: Embedder, folder: Path, out: Path, flip: Flip = "none") -> int:
    """Embed all images in a folder and those inside of it, and write names, embeddings and norms.

    Args:
        embedder: The backbone.
        folder: The folder; its ``.jpg``, ``.jpeg`` and ``.png`` files are taken, in the order of their names.
        out: The file, whole or not at all. ``.npy``: an array of N records with the fields ``name``, ``norm`` (float32)
            and ``embedding`` (float32 [D], not normalised). ``.parquet``: a table with these columns.
        flip: What becomes of the mirror images.

    Returns:
        N.

    Raises:
        FileError: There is no image, one cannot be read, or ``out`` is of another kind or cannot be written.
    """
    if out.suffix not in _WRITERS:
        raise FileError(out, f"unknown kind of file '{out.suffix}': {did_you_mean(out.suffix, _WRITERS)}")
    files = find_images(folder)
    names = [_name(file, folder) for file in files]
    with whole_file(out) as temporary:
        _WRITERS[out.suffix](temporary, names, embedder.blocks(images(files), flip, len(files)))
    return len(files)


def find_images(folder: Path) -> list[Path]:
    """All images in a folder and those inside of it, sorted by name.

    Raises:
        FileError: There is none.
    """
    places = (Path(top) / name for top, _, names in os.walk(folder) for name in names)
    found = sorted(place for place in places if place.suffix.lower() in SUFFIXES)
    if not found:
        problem = "holds no image" if folder.is_dir() else "no such folder"
        raise FileError(folder, problem, f"expected files that end with {', '.join(SUFFIXES)}")
    return found


def images(files: Iterable[Path]) -> Iterator[Image]:
    """Decode files, one after the other.

    Raises:
        FileError: One is missing, or no image.
    """
    for file in files:
        try:
            if not file.is_file():
                raise FileError(file, "no such image")
            if file.stat().st_size > MOST_BYTES:
                raise FileError(file, f"larger than {MOST_BYTES} bytes, too large for an image of a face")
            yield jpeg.decode(file.read_bytes())
        except OSError as error:
            raise FileError(file, f"cannot be read: {error.strerror}") from error
        except jpeg.ImageError as error:
            raise FileError(file, f"the image is unusable: {error}") from error


def _name(file: Path, folder: Path) -> str:
    name = file.relative_to(folder).as_posix()
    if not name.isprintable():  # bytes that are no UTF-8 are not, either
        raise FileError(folder, f"the image {name!r} has a name that cannot be written down", "rename it")
    return name


def _write_npy(path: Path, names: list[str], blocks: Iterator[Features]) -> None:
    """Write through a map of the file, so that there need be no room for all in memory."""
    table: NDArray[np.void] | None = None
    start = 0
    for block in blocks:
        if table is None:
            fields = [("name", f"<U{max(map(len, names))}"), ("norm", "<f4"), ("embedding", "<f4", block.shape[1:])]
            table = np.lib.format.open_memmap(path, "w+", np.dtype(fields), (len(names),))
        part = table[start : start + len(block)]
        part["name"] = names[start : start + len(block)]
        part["norm"], part["embedding"] = np.linalg.norm(block, axis=1), block
        start += len(block)


def _write_parquet(path: Path, names: list[str], blocks: Iterator[Features]) -> None:
    """Write a row group a batch."""
    writer: pq.ParquetWriter | None = None
    start = 0
    try:
        for block in blocks:
            columns = {
                "name": pa.array(names[start : start + len(block)]),
                "norm": pa.array(np.linalg.norm(block, axis=1).astype(np.float32)),
                "embedding": pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), block.shape[1]),
            }
            table = pa.table(columns)
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
            start += len(block)
    finally:
        if writer is not None:
            writer.close()


_WRITERS = {".npy": _write_npy, ".parquet": _write_parquet}
