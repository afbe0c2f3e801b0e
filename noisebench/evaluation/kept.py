"""Embeddings kept on disk while many images are embedded, so that the same command goes on where it was stopped.

A batch is a file named by a hash of all that its embeddings depend on: the checkpoint, the kind of device, torch's
version, what becomes of mirror images, and the pixels as the backbone sees them. So what is kept is never taken for the
embeddings of other images, whatever was changed in between. The images are read again, which is a small part of the
work. What is done in the first seconds is not kept: it is sooner done again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.files import whole_file
from noisebench.formats import checked_arrays

SECONDS_BEFORE_KEEPING = 10.0

_KIND = "embeddings of a batch, version 1"
_SUFFIX = ".batch"


class EmbeddedBatch(NamedTuple):
    """What a batch of images came to.

    Attributes:
        vectors: float32 [B, D], the embeddings.
        sum_of_norms: The lengths of all raw outputs behind them, added up.
        num_outputs: How many these are.
    """

    vectors: NDArray[np.float32]
    sum_of_norms: float
    num_outputs: int


class KeptEmbeddings:
    """The batches kept in a folder.

    Args:
        folder: The folder; made when there is something to keep.
        backbone: What tells the backbone from every other.
    """

    def __init__(self, folder: Path, backbone: str) -> None:
        self._folder, self._backbone = folder, backbone
        self._begin = time.monotonic() + SECONDS_BEFORE_KEEPING
        self._is_writable = True

    def name(self, pixels: NDArray[np.uint8], flip: str, device: str) -> str:
        """The name of a batch, of its pixels uint8 [B, H, W, 3], the flip rule and the kind of device."""
        told = f"{self._backbone} {torch.__version__} {device} {flip} {pixels.shape}\n"
        return hashlib.sha256(told.encode() + np.ascontiguousarray(pixels).data).hexdigest() + _SUFFIX

    def find(self, name: str) -> EmbeddedBatch | None:
        """The batch of that name; None if it is not there, or not whole."""
        try:
            about, arrays = checked_arrays.read(self._folder / name, _KIND)
            vectors = arrays["vectors"].astype("<u4").view("<f4").reshape(about["images"], -1)
            return EmbeddedBatch(vectors, about["sum_of_norms"], about["num_outputs"])
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def keep(self, name: str, batch: EmbeddedBatch) -> None:
        """Keep a batch; where that cannot be done, say so once and go on without."""
        if not self._is_writable or time.monotonic() < self._begin:
            return
        about = {"images": len(batch.vectors), "sum_of_norms": batch.sum_of_norms, "num_outputs": batch.num_outputs}
        vectors = np.ascontiguousarray(batch.vectors, "<f4").ravel().view("<u4")
        try:
            with whole_file(self._folder / name) as temporary:
                checked_arrays.write(temporary, _KIND, about, {"vectors": vectors})
        except FileError as error:
            self._is_writable = False
            warnings.warn(f"a stopped command will not go on where it was: {error}", stacklevel=2)


@contextmanager
def kept_until_done(folder: Path, backbone: str) -> Iterator[KeptEmbeddings]:
    """Keep embeddings in a folder, and remove them with it once the block has ended without an error."""
    yield KeptEmbeddings(folder, backbone)
    with contextlib.suppress(OSError):
        for file in [*folder.glob(f"*{_SUFFIX}"), *folder.glob(f".*{_SUFFIX}.*.part")]:
            file.unlink()
        folder.rmdir()


def folder_of_user(*told: str) -> Path:
    """A folder of the user's cache, one for each of what is told: ``$XDG_CACHE_HOME``, or ``~/.cache``."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "noisebench" / "embeddings" / hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
