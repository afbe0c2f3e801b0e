"""InsightFace's verification sets: a ``.bin`` file is a pickle of (list of 2P encoded images, list of P bools).

Images 2i and 2i + 1 are pair i; the bool says whether both show the same identity. The pickle is read by
``safe_pickle``, so that a file from anywhere can be opened.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.files import whole_file
from noisebench.formats import safe_pickle

MAX_BYTES = 4 << 30

_FORMAT = "expected a pickle of (list of encoded images, list of bools)"
_AGAIN = "download or pack the verification set again"


@dataclass(frozen=True, eq=False)
class VerificationSet:
    """Pairs of faces to verify.

    Attributes:
        name: The file's name without its ending, such as ``lfw``.
        jpegs: 2P encoded images; 2i and 2i + 1 are pair i.
        same: bool [P], whether a pair shows one identity.
        sha256: SHA-256 of the file, in hexadecimal.
    """

    name: str
    jpegs: list[bytes] = field(repr=False)
    same: NDArray[np.bool_] = field(repr=False)
    sha256: str


def read(path: Path) -> VerificationSet:
    """Read a ``.bin`` file, written by Python 2 or 3. No code the file names is ever run.

    Raises:
        FileError: The file is missing, is no verification set, or names anything but the contents of one.
    """
    data = _read_bytes(path)
    try:
        content = safe_pickle.load(data)
    except safe_pickle.Refused as error:
        problem = f"refused, and nothing of it was run: it holds {error}"
        raise FileError(path, problem, "do not trust this file; get it again from its source") from error
    except Exception as error:  # damaged bytes can make the unpickler raise anything
        detail = " ".join(str(error).split())[:200]
        raise FileError(path, f"{_FORMAT}; this one is damaged or cut short: {detail}", _AGAIN) from error
    jpegs, same = _check_content(path, content)
    return VerificationSet(path.stem, jpegs, same, hashlib.sha256(data).hexdigest())


def write(path: Path, jpegs: Sequence[bytes], same: Sequence[bool] | NDArray[np.bool_]) -> None:
    """Write a ``.bin`` file (pickle protocol 4), whole or not at all.

    Args:
        path: The file.
        jpegs: 2P encoded images; 2i and 2i + 1 are pair i.
        same: Whether a pair shows one identity, [P].

    Raises:
        ValueError: There are not twice as many images as pairs, or none.
    """
    if len(same) == 0 or len(jpegs) != 2 * len(same):
        raise ValueError(f"{len(jpegs)} images for {len(same)} pairs; expected two for each of at least one pair")
    with whole_file(path) as temporary:
        content = ([bytes(jpeg) for jpeg in jpegs], [bool(value) for value in same])
        temporary.write_bytes(pickle.dumps(content, protocol=4))


def _read_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileError(path, f"larger than {MAX_BYTES} bytes, so it is no verification set")
        return path.read_bytes()
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}", "check the path of the test set") from error


def _check_content(path: Path, content: object) -> tuple[list[bytes], NDArray[np.bool_]]:
    """Images and answers, checked to be what they should be and to belong together."""
    match content:
        case [list() | tuple() as images, list() | tuple() | safe_pickle.Array() as answers]:
            pass
        case _:
            raise FileError(path, f"{_FORMAT}, found something else", _AGAIN)
    jpegs = [_image(path, number, image) for number, image in enumerate(images)]
    same = _answers(path, answers)
    if not jpegs or len(jpegs) % 2:
        raise FileError(path, f"{len(jpegs)} images; expected two for each pair", _AGAIN)
    if len(same) != len(jpegs) // 2:
        raise FileError(path, f"{len(same)} answers for {len(jpegs) // 2} pairs of images", _AGAIN)
    return jpegs, same


def _image(path: Path, number: int, image: object) -> bytes:
    match image:
        case bytes() | bytearray():
            return bytes(image)
        case safe_pickle.Array(dtype="uint8"):
            return image.data
        case _:
            raise FileError(path, f"image {number} is {type(image).__name__}; expected bytes", _AGAIN)


def _answers(path: Path, answers: list[object] | tuple[object, ...] | safe_pickle.Array) -> NDArray[np.bool_]:
    match answers:
        case safe_pickle.Array(dtype="bool"):
            return np.frombuffer(answers.data, dtype=np.uint8).astype(np.bool_)
        case safe_pickle.Array():
            raise FileError(path, "the answers are an array of uint8; expected bool", _AGAIN)
    wrong = next((number for number, answer in enumerate(answers) if not isinstance(answer, bool)), None)
    if wrong is not None:
        raise FileError(path, f"answer {wrong} is {type(answers[wrong]).__name__}; expected bool", _AGAIN)
    return np.array(answers, dtype=np.bool_)
