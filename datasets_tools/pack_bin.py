"""Verification sets from lists of pairs, and back: ``.bin`` files as InsightFace's evaluation reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from datasets_tools.fitting import decoded_size, is_jpeg
from noisebench.errors import FileError, UserError
from noisebench.files import whole_folder, write_text
from noisebench.formats import verification_bin
from noisebench.formats.image_files import path_inside, read_image_file
from noisebench.formats.jpeg import ImageError
from noisebench.formats.pairs_list import LINE_FORMATS, PAIRS_FILE, read_pairs

_LFW_ENDINGS = (".jpg", ".jpeg", ".png")


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
        pairs_file: The list; see `noisebench.formats.pairs_list`.
        root: Folder that its paths are relative to.
        out: The ``.bin`` file.

    Raises:
        FileError: The list or an image is missing or unusable, or the images differ in size; the line is named.
    """
    pairs = list(read_pairs(pairs_file))
    if not pairs:
        raise FileError(pairs_file, "lists no pairs", LINE_FORMATS)
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
