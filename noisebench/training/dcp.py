"""Tensors by torch.distributed.checkpoint: each process writes what it holds and reads what it needs, no more.

Two things are changed. A tensor may be split into blocks of rows of any size, which DTensor does not allow, so planners
of our own say who has which rows. And nothing is unpickled freely: the index of a checkpoint, ``.metadata``, is a
pickle, read here with a short list of the classes it may name; the tensors are read by torch with ``weights_only``.
"""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import (
    LoadPlan,
    SavePlan,
    SavePlanner,
    TensorWriteData,
    WriteItem,
    WriteItemType,
)
from torch.distributed.checkpoint.planner_helpers import create_read_items_for_chunk_list
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.checkpoint.storage import WriteResult
from torch.futures import Future

from noisebench.errors import FileError
from noisebench.files import refusal_behind

INDEX_FILE = ".metadata"
MAX_INDEX_BYTES = 1 << 28
_METADATA = "torch.distributed.checkpoint.metadata"
_NAMES = frozenset(
    {(_METADATA, name) for name in ("Metadata", "MetadataIndex", "StorageMeta", "_MEM_FORMAT_ENCODING")}
    | {(_METADATA, name) for name in ("TensorStorageMetadata", "TensorProperties", "ChunkStorageMetadata")}
    | {("torch.distributed.checkpoint.filesystem", "_StorageInfo"), ("torch.serialization", "_get_layout")}
    | {("torch", "Size"), ("pathlib", "PosixPath"), ("pathlib._local", "PosixPath")}
)


@dataclass(frozen=True)
class Part:
    """The rows of a tensor that this process holds, where it is split over the processes."""

    start: int
    count: int
    total: int


@dataclass(frozen=True)
class Block:
    """A tensor as a process holds it: whole, or its part of the rows."""

    tensor: Tensor
    part: Part | None = None

    @property
    def chunk(self) -> ChunkStorageMetadata:
        """Where it stands in the whole tensor."""
        offsets = [0] * self.tensor.dim()
        if self.part is not None:
            offsets[0] = self.part.start
        return ChunkStorageMetadata(offsets=torch.Size(offsets), sizes=self.tensor.size())

    @property
    def whole_size(self) -> torch.Size:
        """Shape of the whole tensor."""
        size = self.tensor.size()
        return size if self.part is None else torch.Size([self.part.total, *size[1:]])


class Saved(NamedTuple):
    """Shape and type of a tensor in a checkpoint."""

    shape: torch.Size
    dtype: torch.dtype


def write(folder: Path, blocks: Mapping[str, Block], *, is_distributed: bool) -> None:
    """Write tensors into an empty folder. All processes must call it, each with what it is to write.

    Raises:
        OSError: One of them cannot write.
    """
    try:
        _quietly(
            save,
            dict(blocks),
            storage_writer=_Writer(folder),
            planner=_SavePlanner(),
            no_dist=not is_distributed,
        )
    except CheckpointException as error:  # no Exception, so that few would catch it
        raise next(iter(error.failures.values()))[0] from error


def saved_tensors(folder: Path) -> dict[str, Saved]:
    """The tensors of a checkpoint by name.

    Raises:
        FileError: Its index is damaged, or names what it must not.
    """
    index = _tensors(_Reader(folder).read_metadata())
    found = {name: Saved(entry.size, entry.properties.dtype) for name, entry in index.items()}
    held = sum(file.stat().st_size for file in folder.iterdir())
    if sum(tensor.shape.numel() * tensor.dtype.itemsize for tensor in found.values()) > held:
        raise FileError(folder / INDEX_FILE, "promises more than its files can hold")
    return found


def read(folder: Path, blocks: Mapping[str, Block]) -> None:
    """Fill tensors, whole or parts, on this process alone."""
    try:
        _quietly(load, dict(blocks), storage_reader=_Reader(folder), planner=_LoadPlanner(), no_dist=True)
    except CheckpointException as error:
        raise next(iter(error.failures.values()))[0] from error


def _quietly(function: Any, *arguments: Any, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")  # one process is nothing to warn of
        function(*arguments, **options)


class _SavePlanner(DefaultSavePlanner):
    def __init__(self) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)

    def create_local_plan(self) -> SavePlan:
        self.plan = SavePlan([_write_item(name, block) for name, block in self.state_dict.items()])
        return self.plan

    def lookup_object(self, index: MetadataIndex) -> Tensor:
        tensor: Tensor = self.state_dict[index.fqn].tensor
        return tensor


def _write_item(name: str, block: Block) -> WriteItem:
    properties = TensorProperties.create_from_tensor(block.tensor)
    return WriteItem(
        index=MetadataIndex(name, block.chunk.offsets),
        type=WriteItemType.TENSOR if block.part is None else WriteItemType.SHARD,
        tensor_data=TensorWriteData(chunk=block.chunk, properties=properties, size=block.whole_size),
    )


class _LoadPlanner(DefaultLoadPlanner):
    def set_up_planner(
        self, state_dict: dict[str, Block], metadata: Metadata | None = None, is_coordinator: bool = False
    ) -> None:
        self.state_dict, self.metadata, self.is_coordinator = state_dict, metadata, is_coordinator

    def create_local_plan(self) -> LoadPlan:
        assert self.metadata is not None
        entries = _tensors(self.metadata)
        items = [create_read_items_for_chunk_list(n, entries[n], [b.chunk]) for n, b in self.state_dict.items()]
        return LoadPlan([item for of_tensor in items for item in of_tensor])

    def lookup_tensor(self, index: MetadataIndex) -> Tensor:
        tensor: Tensor = self.state_dict[index.fqn].tensor
        return tensor


class _Writer(FileSystemWriter):
    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        try:
            return super().write_data(plan, planner)
        except Exception as error:  # torch hides a full disk behind another, and loses it on the way to its peers
            refusal = refusal_behind(error)
            if refusal is None:
                raise
            raise OSError(refusal.errno, refusal.strerror) from None


class _Reader(FileSystemReader):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        path = self.folder / INDEX_FILE
        try:
            if path.stat().st_size > MAX_INDEX_BYTES:
                raise pickle.UnpicklingError(f"larger than {MAX_INDEX_BYTES} bytes")
            metadata: Metadata = _Unpickler(io.BytesIO(path.read_bytes())).load()
            if len(_tensors(metadata)) < len(metadata.state_dict_metadata):
                raise pickle.UnpicklingError("it lists something else than tensors")
            if any("/" in info.relative_path for info in metadata.storage_data.values()):
                raise pickle.UnpicklingError("it names a file outside its folder")
        except Exception as error:  # whatever a damaged pickle raises
            raise FileError(path, f"no readable index of a checkpoint: {error}") from error
        return metadata


def _tensors(metadata: Metadata) -> dict[str, TensorStorageMetadata]:
    entries = metadata.state_dict_metadata.items()
    return {name: entry for name, entry in entries if isinstance(entry, TensorStorageMetadata)}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        is_dtype = module == "torch" and isinstance(getattr(torch, name, None), torch.dtype)
        if (module, name) not in _NAMES and not is_dtype:
            raise pickle.UnpicklingError(f"the name {f'{module}.{name}'[:100]!r}, which no checkpoint needs")
        return super().find_class(module, name)
