"""A face set that is written image by image, over several runs: what an interrupted one has saved is gone on with."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from datasets_tools.resumable import PartialFolder, resumable_folder
from noisebench.files import write_text
from noisebench.formats.face_set import write_ranges
from noisebench.formats.layouts import Layout
from noisebench.formats.recordio import Header, RecordWriter, pack

SECONDS_BETWEEN_SAVES = 5.0
LEFT_OUT_FILE = "left_out.txt"

_FILES = ("train.rec", "train.idx", LEFT_OUT_FILE)


@contextmanager
def growing_folder(out: Path, **task: Any) -> Iterator[PartialFolder]:
    """``resumable_folder``, for growing sets: if it is left before anything was saved, nothing stays behind.

    So a mistake that shows at once can be mended by other arguments.
    """
    with resumable_folder(out, **task) as folder:
        try:
            yield folder
        except BaseException:
            if not folder.done:
                shutil.rmtree(folder.path, ignore_errors=True)
            raise


class GrowingFaceSet:
    """A face set to which images are appended. Use it in a ``with`` block.

    It saves itself every few seconds; what an interrupted run has written after that is cut off by the next.

    Args:
        parent: The folder in the making.
        name: Folder of the set in it.
        layout: In which layout it is; keys count up from 1 in InsightFace's, from 0 in im2rec's.

    Attributes:
        first_key: Key of the first image.
        num_images: How many images have been written, in earlier runs too.
        left_out: The images that have been left out: their places in the source, ascending.
    """

    def __init__(self, parent: PartialFolder, name: str = ".", layout: Layout = "insightface") -> None:
        self._parent = parent
        self._name = name
        self._layout = layout
        self._folder = parent.path / name
        self._saved_names = {file: f"{name}/{file}" for file in _FILES}
        self.first_key = 1 if layout == "insightface" else 0
        self.num_images = 0
        self.left_out: list[int] = []

    @property
    def num_done(self) -> int:
        """How many images of the source have been dealt with: the place to go on from."""
        return self.num_images + len(self.left_out)

    def __enter__(self) -> GrowingFaceSet:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._cut_to_saved()
        log = self._folder / LEFT_OUT_FILE
        self.left_out = [int(line.partition("\t")[0]) for line in log.read_text(encoding="utf-8").splitlines()]
        with ExitStack() as stack:
            self._log: IO[str] = stack.enter_context(log.open("a", encoding="utf-8"))
            self._writer = stack.enter_context(RecordWriter(self._folder / "train.rec", append=True))
            self._streams = stack.pop_all()
        self._saved_at = time.monotonic()
        return self

    def write(self, encoded: bytes, label: int) -> None:
        """Append an image; labels ascend."""
        key = self.first_key + self.num_images
        self.write_record(key, pack(Header(0, float(label), key), encoded))

    def write_record(self, key: int, payload: bytes) -> None:
        """Append an image's record as it was in another set of the im2rec layout."""
        self._writer.write(key, payload)
        self.num_images += 1
        self._save_if_due()

    def leave_out(self, name: str, problem: str) -> None:
        """Leave out the next image of the source, and tell so in the file ``left_out.txt``: place, name, problem."""
        place = self.num_done
        self._log.write(f"{place}\t{_one_line(name)}\t{_one_line(problem)}\n")
        self.left_out.append(place)
        self._save_if_due()

    def save(self) -> None:
        """Make sure that another run can go on from here, whatever happens to this one."""
        self._writer.sync()
        self._log.flush()
        os.fsync(self._log.fileno())
        sizes = {name: (self._folder / file).stat().st_size for file, name in self._saved_names.items()}
        self._parent.save(**self._parent.done | sizes | {f"{self._name}/images": self.num_images})
        self._saved_at = time.monotonic()

    def finish(self, num_images: NDArray[np.int64], image_size: tuple[int, int]) -> None:
        """Write what follows the images.

        Args:
            num_images: How many images each identity has, int64 [C].
            image_size: Height and width of the images.
        """
        self.save()
        if self._layout == "insightface":
            write_ranges(self._writer, num_images)
            self._writer.sync()
        write_text(self._folder / "property", f"{len(num_images)},{image_size[0]},{image_size[1]}\n")
        if not self.left_out:
            (self._folder / LEFT_OUT_FILE).unlink()

    def _cut_to_saved(self) -> None:
        """Cut off what follows the last save, which may be half a record; begin again if the files are shorter."""
        paths = {name: self._folder / file for file, name in self._saved_names.items()}
        for path in paths.values():
            path.touch()
        saved = self._parent.done
        is_whole = all(path.stat().st_size >= saved.get(name, 0) for name, path in paths.items())
        for name, path in paths.items():
            os.truncate(path, saved.get(name, 0) if is_whole else 0)
        self.num_images = saved.get(f"{self._name}/images", 0) if is_whole else 0

    def _save_if_due(self) -> None:
        if time.monotonic() - self._saved_at > SECONDS_BETWEEN_SAVES:
            self.save()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Nothing is saved here: an interruption may come between a record and its line of the index.
        self._streams.close()


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
