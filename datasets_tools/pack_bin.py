"""Verification sets from lists of pairs, and back: ``.bin`` files as InsightFace's evaluation reads them.

Two kinds of list are read, with fields separated by tabs, or by spaces if a line has no tab:

- LFW's ``pairs.txt``: ``name n1 n2`` for two images of one identity, ``name1 n1 name2 n2`` for images of two. Image n
  of a name is ``name/name_000n.jpg``; a first line of counts is passed over.
- ``path1 path2 1`` for two images of one identity, 0 or -1 for images of two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from datasets_tools.fitting import decoded_size, is_jpeg
from noisebench.errors import FileError, UserError
from noisebench.files import whole_folder, write_text
from noisebench.formats import verification_bin
from noisebench.formats.image_files import path_inside, read_image_file
from noisebench.formats.jpeg import ImageError

PAIRS_FILE = "pairs.txt"

_ANSWERS = {"1": True, "0": False, "-1": False}
_LFW_ENDINGS = (".jpg", ".jpeg", ".png")
_MAX_LIST_BYTES = 1 << 30
_FORMATS = "expected 'name n1 n2', 'name1 n1 name2 n2' or 'path1 path2 0|1'"


class Pair(NamedTuple):
    """A line of a list.

    Attributes:
        line: Its number, from 1.
        first: Path of an image, relative to the root; an LFW image is without its ending.
        second: Path of the other.
        same: Whether both show one identity.
        is_lfw: Whether the endings have to be found.
    """

    line: int
    first: str
    second: str
    same: bool
    is_lfw: bool


@dataclass(frozen=True)
class Packed:
    """What was packed or unpacked.

    Attributes:
        num_pairs: Pairs.
        num_same: Those of one identity.
        num_images: Different images.
    """

    num_pairs: int
    num_same: int
    num_images: int


def pack_bin(pairs_file: Path, root: Path, out: Path) -> Packed:
    """Pack the images that a list of pairs names; their bytes stay as they are.

    An image in several pairs is read and stored once: so what ``unpack_bin`` gives is packed to the same bytes again.

    Args:
        pairs_file: The list.
        root: Folder that its paths are relative to.
        out: The ``.bin`` file.

    Raises:
        FileError: The list or an image is missing or unusable, or the images differ in size; the line is named.
    """
    pairs = list(read_pairs(pairs_file))
    if not pairs:
        raise FileError(pairs_file, "lists no pairs", _FORMATS)
    images: dict[str, bytes] = {}
    jpegs: list[bytes] = []
    size: tuple[int, int] | None = None
    for pair in tqdm(pairs, desc="pairs", unit="pair", disable=None):
        for name in (pair.first, pair.second):
            if name not in images:
                try:
                    images[name] = _read(root, name, pair.is_lfw)
                    size = _checked_size(images[name], size)
                except ValueError as error:
                    raise FileError(pairs_file, f"line {pair.line}: image '{name}': {error}") from error
            jpegs.append(images[name])
    if sum(map(len, images.values())) > verification_bin.MAX_BYTES:
        raise UserError(f"the images have more than the {verification_bin.MAX_BYTES} bytes a .bin file may have")
    verification_bin.write(out, jpegs, [pair.same for pair in pairs])
    return Packed(len(pairs), sum(pair.same for pair in pairs), len(images))


def unpack_bin(path: Path, out: Path) -> Packed:
    """Write a verification set as image files and ``pairs.txt``, which ``pack_bin`` takes as they are.

    Images that the file stores once, for several pairs, become one file.

    Args:
        path: The ``.bin`` file.
        out: A folder that does not exist yet, or an empty one.

    Raises:
        FileError: ``path`` is no verification set, or ``out`` cannot be written.
    """
    pairs = verification_bin.read(path)
    names: dict[int, str] = {}
    with whole_folder(out) as folder:
        (folder / "images").mkdir()
        for jpeg in tqdm(pairs.jpegs, desc="images", unit="image", disable=None):
            if id(jpeg) not in names:
                name = f"images/{len(names):06d}{'.jpg' if is_jpeg(jpeg) else '.png'}"
                (folder / name).write_bytes(jpeg)
                names[id(jpeg)] = name
        sides = [names[id(jpeg)] for jpeg in pairs.jpegs]
        lines = zip(sides[::2], sides[1::2], pairs.same, strict=True)
        write_text(folder / PAIRS_FILE, "".join(f"{one}\t{other}\t{int(same)}\n" for one, other, same in lines))
    return Packed(len(pairs.same), int(pairs.same.sum()), len(names))


def read_pairs(path: Path) -> Iterator[Pair]:
    """The pairs of a list, of either kind.

    Raises:
        FileError: The list cannot be read, or a line is neither kind of pair.
    """
    try:
        if path.stat().st_size > _MAX_LIST_BYTES:
            raise FileError(path, f"larger than {_MAX_LIST_BYTES} bytes, so it is no list of pairs")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(path, f"cannot be read: {getattr(error, 'strerror', None) or error}", _FORMATS) from error
    for number, line in enumerate(lines, start=1):
        fields = line.strip().split("\t" if "\t" in line.strip() else None)
        if not fields or fields[0].startswith("#") or (number == 1 and all(map(_is_number, fields))):
            continue
        yield _parse(path, number, fields)


def _parse(path: Path, number: int, fields: list[str]) -> Pair:
    match fields:
        case [name, first, second] if _is_number(first) and _is_number(second):
            return Pair(number, _lfw_image(name, first), _lfw_image(name, second), True, True)
        case [name, first, other, second] if _is_number(first) and _is_number(second):
            return Pair(number, _lfw_image(name, first), _lfw_image(other, second), False, True)
        case [first, second, answer] if answer in _ANSWERS:
            return Pair(number, first, second, _ANSWERS[answer], False)
    raise FileError(path, f"line {number}: {_FORMATS}, found {' '.join(fields)[:80]!r}")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _lfw_image(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}"


def _read(root: Path, name: str, is_lfw: bool) -> bytes:
    path = path_inside(root, name)
    if not is_lfw:
        return read_image_file(path)
    found = next((path + ending for ending in _LFW_ENDINGS if Path(path + ending).exists()), path + _LFW_ENDINGS[0])
    return read_image_file(found)


def _checked_size(image: bytes, size: tuple[int, int] | None) -> tuple[int, int]:
    """Height and width of an image, which are to be those of the images before it."""
    found = decoded_size(image)
    if size not in (None, found):
        raise ImageError(f"{found[0]}x{found[1]} pixels, the images before it have {size[0]}x{size[1]}")
    return found
