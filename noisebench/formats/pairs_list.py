"""Lists of pairs of faces to verify.

Two kinds are read, with fields separated by tabs, or by spaces if a line has no tab:

- LFW's ``pairs.txt``: ``name n1 n2`` for two images of one identity, ``name1 n1 name2 n2`` for images of two. Image n
  of a name is ``name/name_000n.jpg``; a first line of counts is passed over.
- ``path1 path2 1`` for two images of one identity, 0 or -1 for images of two.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from noisebench.errors import FileError

PAIRS_FILE = "pairs.txt"
LINE_FORMATS = "expected 'name n1 n2', 'name1 n1 name2 n2' or 'path1 path2 0|1'"

_ANSWERS = {"1": True, "0": False, "-1": False}
_MAX_LIST_BYTES = 1 << 30


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
        raise FileError(path, f"cannot be read: {getattr(error, 'strerror', None) or error}", LINE_FORMATS) from error
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
    raise FileError(path, f"line {number}: {LINE_FORMATS}, found {' '.join(fields)[:80]!r}")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _lfw_image(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}"
