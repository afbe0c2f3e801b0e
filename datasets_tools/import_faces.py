"""Turns images from elsewhere into a RecordIO set: folders, lists, other RecordIO sets, tar shards, Parquet tables."""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from datasets_tools import importers
from datasets_tools.fitting import Fitting, Misfit, decoded_size
from datasets_tools.growing_set import GrowingFaceSet, growing_folder
from datasets_tools.importers._listing import Options
from datasets_tools.names import NAMES_FILE, write_names
from noisebench.errors import FileError, UserError, did_you_mean
from noisebench.formats.jpeg import ImageError
from noisebench.formats.layouts import layout_for
from noisebench.formats.listing import Listing

_IMAGES_AT_ONCE = 256


class Importer(Protocol):
    """What each file of ``importers`` defines."""

    recognises: Callable[[Path], bool]
    list_images: Callable[[Sequence[Path], Options], Listing]


@dataclass(frozen=True)
class Imported:
    """What an import has made.

    Attributes:
        num_images: Images written.
        num_identities: Identities, those without an image among them.
        num_left_out: Images left out because they are broken.
        image_size: Height and width.
    """

    num_images: int
    num_identities: int
    num_left_out: int
    image_size: tuple[int, int]


def import_faces(
    sources: Sequence[Path],
    out: Path,
    *,
    form: str | None = None,
    options: Options | None = None,
    size: tuple[int, int] | None = None,
    quality: int | None = None,
    skip_broken: bool = False,
) -> Imported:
    """Write the images of the sources as a set with a names file; more than 2^24 in the im2rec layout (``layouts``).

    Every image is decoded once, to know that it can be. JPEGs of the right size are copied byte by byte. An interrupted
    import goes on where it stopped, as long as the source lists the same images.

    Args:
        sources: All of one format.
        out: A folder that does not exist yet, or an empty one.
        form: The format, by its file in ``importers``; None tells it by the sources' look.
        options: What else is to be known of the sources.
        size: Height and width to resize images to; None takes the first image's and refuses others.
        quality: JPEG quality of what is encoded again; None refuses images that are no JPEG unless ``size`` is given.
        skip_broken: Leave out images that cannot be read or decoded, rather than stop at the first.

    Raises:
        UserError: A source or an image is not what it should be, or ``out`` cannot be written.
    """
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    options = replace(options or Options(), scratch=out.absolute().parent)
    name = form or _recognise(sources[0])
    listing = _importer(name).list_images(sources, options)
    layout = layout_for(len(listing.labels), len(listing.identities))
    task = {"sources": [str(source.absolute()) for source in sources], "images": listing.digest}
    with (
        growing_folder(out, **task, size=size, quality=quality) as folder,
        GrowingFaceSet(folder, layout=layout) as faces,
    ):
        fitting = Fitting(size or _size_of_first(listing, skip_broken), resize=size is not None, quality=quality)
        _append(faces, listing, fitting, skip_broken)
        if not faces.num_images:
            raise FileError(sources[0], f"all {len(faces.left_out)} images are broken", "there is nothing to write")
        kept = np.delete(listing.labels, faces.left_out)
        faces.finish(np.bincount(kept, minlength=len(listing.identities)), fitting.size)
        write_names(folder.path / NAMES_FILE, listing, faces.left_out, faces.first_key)
    return Imported(faces.num_images, len(listing.identities), len(faces.left_out), fitting.size)


@cache
def formats() -> list[str]:
    """The names of all formats."""
    return [module.name for module in pkgutil.iter_modules(importers.__path__) if not module.name.startswith("_")]


def _importer(name: str) -> Importer:
    if name not in formats():
        raise UserError(f"unknown format '{name}': {did_you_mean(name, formats())}")
    importer: Importer = importlib.import_module(f"{importers.__name__}.{name}")
    return importer


def _recognise(source: Path) -> str:
    """The format of a source, by its look."""
    if not source.exists():
        raise FileError(source, "no such file or folder", "check the path of the source")
    for name in formats():
        if _importer(name).recognises(source):
            return name
    raise FileError(source, "of no known format", f"--format says which it is: {', '.join(formats())}")


def _size_of_first(listing: Listing, skip_broken: bool) -> tuple[int, int]:
    """Height and width of the first image that is not broken."""
    for place in range(len(listing.labels)):
        try:
            return decoded_size(listing.read(place))
        except ImageError as error:
            if not skip_broken:
                raise _broken(listing, place, error) from error
    raise UserError("all images are broken: there is nothing to write")


def _append(faces: GrowingFaceSet, listing: Listing, fitting: Fitting, skip_broken: bool) -> None:
    """Append all images that are not yet there."""
    first, total = faces.num_done, len(listing.labels)
    with (
        tqdm(total=total, initial=first, desc="images", unit="image", disable=None) as bar,
        closing(_fitted(listing, fitting, first)) as images,
    ):
        for place, image in enumerate(images, start=first):
            match image:
                case bytes():
                    faces.write(image, int(listing.labels[place]))
                case ImageError() if skip_broken:
                    faces.leave_out(listing.names[place].as_py(), str(image))
                case ImageError():
                    raise _broken(listing, place, image) from image
                case Misfit():
                    raise UserError(f"image '{listing.names[place]}': {image}") from image
            bar.update()


def _fitted(listing: Listing, fitting: Fitting, first: int) -> Generator[bytes | ImageError | Misfit, None, None]:
    """The images from place ``first`` on, or what is wrong with them. They are read by one thread, fitted by many."""

    def fit(encoded: bytes | ImageError) -> bytes | ImageError | Misfit:
        if isinstance(encoded, ImageError):
            return encoded
        try:
            return fitting.fit(encoded)
        except (ImageError, Misfit) as problem:
            return problem

    total = len(listing.labels)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for begin in range(first, total, _IMAGES_AT_ONCE):
            places = range(begin, min(begin + _IMAGES_AT_ONCE, total))
            yield from pool.map(fit, [_read(listing, place) for place in places])


def _read(listing: Listing, place: int) -> bytes | ImageError:
    try:
        return listing.read(place)
    except ImageError as error:
        return error


def _broken(listing: Listing, place: int, error: ImageError) -> UserError:
    return UserError(f"image '{listing.names[place]}': {error} (--skip-broken leaves out such images)")
