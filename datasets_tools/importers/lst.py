"""MXNet's list of images, ``.lst``: a line ``number<TAB>label<TAB>path`` an image, as ``im2rec`` takes it.

Of several labels the first counts. Labels stay the numbers they are. Paths are relative to ``--root``.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from datasets_tools.importers._listing import Options, number_labels, sorted_listing
from noisebench.errors import FileError
from noisebench.formats.image_files import path_inside, read_image_file
from noisebench.formats.listing import Listing, Texts, as_text

_MAX_LINE = 1 << 16
_FORMAT = "number<TAB>label<TAB>path"


def recognises(source: Path) -> bool:
    """Whether it is a file that ends in ``.lst``."""
    return source.suffix == ".lst"


def list_images(sources: Sequence[Path], options: Options) -> Listing:
    """Find the images of a list.

    Raises:
        FileError: There is more than one list, it cannot be read, or a line is not what it should be.
    """
    if len(sources) != 1:
        raise FileError(sources[1], "a second list", "bring the lines into one list, or import each")
    source = sources[0]
    root = options.root if options.root is not None else source.parent
    paths, labels = Texts(), array("q")
    for number, line in tqdm(_lines(source), desc="listing", unit="line", unit_scale=True, delay=2, disable=None):
        label, path = _parse(source, number, line)
        try:
            path_inside(root, os.fsdecode(path))
        except ValueError as error:
            raise FileError(source, f"line {number}: {error}", "give --root the folder that holds them all") from error
        labels.append(label)
        paths.append(path)
    if not labels:
        raise FileError(source, "lists no image", f"expected lines '{_FORMAT}'")
    files = paths.finish()
    numbers, identities = number_labels(source, pa.chunked_array([np.frombuffer(labels, dtype=np.int64)]))

    def read(place: int) -> bytes:
        return read_image_file(path_inside(root, os.fsdecode(files[place].as_py())))

    return sorted_listing(as_text(files), numbers, identities, read)


def _lines(source: Path) -> Iterator[tuple[int, bytes]]:
    """Number and content of each line that is not empty."""
    try:
        with source.open("rb") as stream:
            for number, line in enumerate(iter(lambda: stream.readline(_MAX_LINE), b""), start=1):
                if len(line) == _MAX_LINE:
                    raise FileError(source, f"line {number} is longer than {_MAX_LINE} bytes", f"expected '{_FORMAT}'")
                if line.strip():
                    yield number, line.rstrip(b"\r\n")
    except OSError as error:
        raise FileError(source, f"cannot be read: {error.strerror}", "check the path of the list") from error


def _parse(source: Path, number: int, line: bytes) -> tuple[int, bytes]:
    """Label and path of a line."""
    fields = line.split(b"\t")
    try:
        value = float(fields[1])
        if len(fields) < 3 or not fields[-1] or abs(value) >= 1 << 62 or value != int(value):
            raise ValueError
    except (ValueError, IndexError, OverflowError) as error:
        found = line[:80].decode("utf-8", "backslashreplace")
        raise FileError(source, f"line {number}: expected '{_FORMAT}' with a whole label, found {found!r}") from error
    return int(value), fields[-1]
