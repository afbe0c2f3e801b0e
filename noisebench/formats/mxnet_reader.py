"""Read and decode records through MXNet itself, to compare with: the optional reader ``mxnet``.

It is not the default because MXNet is retired, needs NumPy below 1.24, and reads and decodes several times slower.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from noisebench.errors import FileError, UserError
from noisebench.formats.jpeg import Encoded, Image, ImageError, size_of


class MXNetReader:
    """Random access to the records of a file through ``MXIndexedRecordIO``, made thread-safe by a lock.

    Args:
        rec: The ``.rec`` file; its index is beside it.

    Raises:
        UserError: MXNet is not installed.
        FileError: MXNet cannot open the file.
    """

    def __init__(self, rec: Path) -> None:
        self._mx = _import_mxnet()
        self._rec = rec
        self._lock = threading.Lock()
        try:
            self._records: Any = self._mx.recordio.MXIndexedRecordIO(str(rec.with_suffix(".idx")), str(rec), "r")
        except (self._mx.base.MXNetError, OSError, ValueError, IndexError) as error:
            raise FileError(rec, f"MXNet cannot open it: {_first_line(error)}") from error

    def read(self, key: int) -> memoryview:
        """The payload of a record.

        Raises:
            FileError: There is no such key, or MXNet cannot read the record.
        """
        try:
            with self._lock:
                return memoryview(self._records.read_idx(key))
        except (self._mx.base.MXNetError, KeyError, TypeError) as error:
            raise FileError(self._rec, f"record {key}: MXNet cannot read it: {_first_line(error)}") from error

    def decode(self, encoded: Encoded) -> Image:
        """Decode an image to RGB, uint8 [H, W, 3].

        Raises:
            ImageError: It is no image of a sensible size, or MXNet refuses it.
        """
        size_of(encoded)
        try:
            image = self._mx.image.imdecode(bytes(encoded), flag=1, to_rgb=True).asnumpy()
        except self._mx.base.MXNetError as error:
            raise ImageError(f"MXNet cannot decode it: {_first_line(error)}") from error
        return np.asarray(image, dtype=np.uint8)


def _import_mxnet() -> ModuleType:
    """Import MXNet, which puts torch on one thread, and give torch its threads back if it was there before."""
    torch = sys.modules.get("torch")
    num_threads = torch.get_num_threads() if torch else 0
    try:
        import mxnet
    except (ImportError, AttributeError, OSError) as error:  # the latter two with a NumPy or a system too new
        remedy = "install it: pip install 'noisebench[mxnet]'"
        raise UserError(f"the reader 'mxnet' needs MXNet, which cannot be imported: {error} ({remedy})") from error
    if torch:
        torch.set_num_threads(num_threads)
    return mxnet  # type: ignore[no-any-return]


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[-1].strip() if text else type(error).__name__
