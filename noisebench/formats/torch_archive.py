"""Read what ``torch.save`` writes, ``.pt``, ``.pth`` and ``.ckpt``, without trusting it.

Such a file is a zip archive: ``NAME/data.pkl``, a pickle, and ``NAME/data/KEY``, the numbers of its tensors, all stored
as they are. Nothing is unpacked and nothing in it is called, so that reading takes no more memory than the file has
bytes; of the tensors only those asked for are read.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from noisebench.errors import FileError
from noisebench.formats import tensor_pickle
from noisebench.formats.tensor_pickle import Storage, StoredTensor

MOST_DIRECTORY_BYTES = 16 << 20
_END, _LOCATOR64, _END64 = (b"PK\x05\x06", 22), (b"PK\x06\x07", 20), (b"PK\x06\x06", 56)  # signature, bytes
_AGAIN = "save the weights alone, with torch.save of torch 1.6 or later"


class TorchArchive:
    """A file that ``torch.save`` wrote, open while its ``with`` block lasts.

    Args:
        path: The file.

    Attributes:
        content: The mapping it holds; tensors are `StoredTensor`.

    Raises:
        FileError: It is missing, damaged, or holds anything else than tensors and plain values.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            _check_directory(path)
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            raise self._fault(getattr(error, "strerror", None) or str(error)) from error
        try:
            self._check_entries()
            self._folder = self._find_folder()
            self.content: dict[str, Any] = self._read_content()
        except BaseException:
            self._archive.close()
            raise
        self._storages: dict[Storage, Tensor] = {}

    def __enter__(self) -> TorchArchive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()

    def tensors(self, stored: Mapping[str, StoredTensor]) -> dict[str, Tensor]:
        """Read tensors; those that share numbers in the file share them in memory.

        Raises:
            FileError: Numbers are missing or damaged.
        """
        return {
            name: self._storage(tensor.storage).as_strided(tensor.shape, tensor.stride, tensor.offset)
            for name, tensor in stored.items()
        }

    def _fault(self, problem: str) -> FileError:
        return FileError(self._path, f"no readable checkpoint of tensors and plain values: {problem}", _AGAIN)

    def _check_entries(self) -> None:
        entries = self._archive.infolist()
        packed = next((entry for entry in entries if entry.compress_type != zipfile.ZIP_STORED), None)
        if packed is not None:
            raise self._fault(f"'{packed.filename[:100]}' is compressed, which torch.save never does")
        if sum(max(entry.file_size, entry.compress_size) for entry in entries) > self._path.stat().st_size:
            raise self._fault("its entries claim more bytes than the file has")

    def _find_folder(self) -> str:
        names = [entry.filename for entry in self._archive.infolist()]
        folders = [name.removesuffix("/data.pkl") for name in names if name.count("/") == 1 and "/data.pkl" in name]
        if len(folders) != 1:
            raise self._fault("it has no data.pkl")
        if f"{folders[0]}/byteorder" in names and self._read(f"{folders[0]}/byteorder") != b"little":
            raise self._fault("its numbers are not little-endian")
        return folders[0]

    def _read_content(self) -> dict[str, Any]:
        try:
            content = tensor_pickle.load(bytes(self._read(f"{self._folder}/data.pkl")))
        except tensor_pickle.Refused as refusal:
            raise self._fault(f"it holds {refusal}") from refusal
        if not isinstance(content, dict):
            raise self._fault(f"expected a mapping, found {type(content).__name__}")
        return content

    def _read(self, name: str) -> bytearray:
        try:
            with self._archive.open(name) as stream:
                return bytearray(stream.read())
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
            raise self._fault(f"'{name[:100]}': {str(error)[:100]}") from error

    def _storage(self, storage: Storage) -> Tensor:
        """All numbers of a storage, in one dimension."""
        if storage not in self._storages:
            dtype: torch.dtype = getattr(torch, storage.dtype)
            data = self._read(f"{self._folder}/data/{storage.key}")
            if storage.num_elements * dtype.itemsize > len(data):
                raise self._fault(f"storage {storage.key[:20]} has {len(data)} bytes, too few for its tensors")
            self._storages[storage] = (
                torch.frombuffer(data, dtype=dtype, count=storage.num_elements)
                if storage.num_elements
                else torch.empty(0, dtype=dtype)
            )
        return self._storages[storage]


def tensors_in(content: object) -> dict[str, StoredTensor] | None:
    """A mapping of names to tensors, such as a state dict; None if it is anything else."""
    if not isinstance(content, dict) or not content:
        return None
    if not all(isinstance(name, str) and isinstance(value, StoredTensor) for name, value in content.items()):
        return None
    return dict(content)


def _check_directory(path: Path) -> None:
    """Refuse a zip whose directory is too long to be read: each of its entries costs ten times its bytes."""
    sizes = _END[1] + _LOCATOR64[1] + _END64[1]
    with path.open("rb") as stream:
        stream.seek(max(path.stat().st_size - sizes, 0))
        tail = stream.read()
    end = tail[-_END[1] :]
    if not end.startswith(_END[0]):
        raise ValueError("it is cut short, or no zip archive, as torch.save has written since version 1.6")
    (directory_bytes,) = struct.unpack_from("<I", end, 12)
    if tail[-_END[1] - _LOCATOR64[1] :].startswith(_LOCATOR64[0]):
        (place,) = struct.unpack_from("<Q", tail, len(tail) - _END[1] - _LOCATOR64[1] + 8)
        if not tail.startswith(_END64[0]) or place != path.stat().st_size - sizes:
            raise ValueError("its directory is not where torch.save puts it")
        (directory_bytes,) = struct.unpack_from("<Q", tail, 40)
    if directory_bytes > MOST_DIRECTORY_BYTES:
        raise ValueError(f"a directory of {directory_bytes} bytes; expected at most {MOST_DIRECTORY_BYTES}")
