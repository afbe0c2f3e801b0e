"""Noise manifests as Parquet files: written whole, read with suspicion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from noisebench.config import explain
from noisebench.errors import FileError
from noisebench.files import whole_file
from noisebench.noise.schema import COLUMNS, KINDS, SCHEMA_VERSION, Metadata

METADATA_KEY = b"noisebench"
MAX_ROWS = 1 << 30
"""Several times the largest face set there is; a larger number is damage."""

_MAKE_AGAIN = "make the manifest again"
_KIND = pa.dictionary(pa.int8(), pa.string())
_NUMBERS = [name for name in COLUMNS if name.endswith(("index", "label"))]
_TYPES = {name: _KIND if name == "kind" else pa.from_numpy_dtype(dtype) for name, dtype in COLUMNS.items()}


def write(path: Path, columns: dict[str, NDArray[Any]], metadata: Metadata) -> None:
    """Write a manifest, whole or not at all.

    Raises:
        FileError: The file could not be written.
    """
    arrays: dict[str, Any] = {name: pa.array(column) for name, column in columns.items()}
    arrays["kind"] = pa.DictionaryArray.from_arrays(arrays["kind"], pa.array(KINDS))
    schema = pa.schema(
        [pa.field(name, kind, nullable=False) for name, kind in _TYPES.items()],
        metadata={METADATA_KEY: metadata.model_dump_json().encode()},
    )
    with whole_file(path) as temporary:
        pq.write_table(
            pa.table(arrays, schema=schema),
            temporary,
            compression="zstd",
            use_dictionary=["kind", "source"],
            column_encoding=dict.fromkeys(_NUMBERS, "DELTA_BINARY_PACKED"),
            write_page_checksum=True,
        )


def read(path: Path) -> tuple[dict[str, NDArray[Any]], Metadata]:
    """Read a manifest's columns and metadata, which have the right types but may still contradict each other.

    Raises:
        FileError: The file is missing, no manifest of this version, or damaged.
    """
    if not path.is_file():
        raise FileError(path, "no such noise manifest")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_schema(file, path)
            metadata = _metadata(file, path)
            return {name: _column(file, name) for name in COLUMNS}, metadata
    except (pa.ArrowException, OSError, ValueError, LookupError, MemoryError) as error:
        first_line = str(error).partition("\n")[0]
        raise FileError(path, f"no noise manifest, or damaged: {first_line}", _MAKE_AGAIN) from error


def _check_schema(file: pq.ParquetFile, path: Path) -> None:
    found = {field.name: field.type for field in file.schema_arrow}
    if list(file.schema_arrow.names) != list(COLUMNS):
        names = ", ".join(map(repr, found))  # of a damaged file they may hold anything
        raise FileError(path, f"no noise manifest: its columns are {names}, expected {', '.join(COLUMNS)}")
    for name, expected in _TYPES.items():
        if found[name] != expected:
            raise FileError(path, f"column '{name}' is {found[name]}, expected {expected}", _MAKE_AGAIN)
    if file.metadata.num_rows > MAX_ROWS:
        raise FileError(path, f"has {file.metadata.num_rows} rows, expected at most {MAX_ROWS}")


def _metadata(file: pq.ParquetFile, path: Path) -> Metadata:
    text = (file.schema_arrow.metadata or {}).get(METADATA_KEY)
    if text is None:
        raise FileError(path, "no noise manifest: the metadata key 'noisebench' is missing")
    try:
        content = json.loads(text)
        version = content.get("schema_version") if isinstance(content, dict) else None
        if version != SCHEMA_VERSION:
            problem = f"schema version {version!r}, but this noisebench reads version {SCHEMA_VERSION}"
            raise FileError(path, problem, "make the manifest again, or use the noisebench that wrote it")
        return Metadata.model_validate(content)
    except ValidationError as error:
        raise FileError(path, f"its metadata is damaged: {explain(error, Metadata)}", _MAKE_AGAIN) from error
    except (ValueError, RecursionError) as error:
        raise FileError(path, "its metadata is no valid JSON", _MAKE_AGAIN) from error


def _column(file: pq.ParquetFile, name: str) -> NDArray[Any]:
    """One column as NumPy: by itself, so that never all columns are in memory twice."""
    column = file.read(columns=[name]).column(name)
    if column.null_count:
        raise ValueError(f"column '{name}' has empty cells")
    if name != "kind":
        return np.asarray(column.to_numpy())
    return np.concatenate([np.empty(0, dtype=np.int8), *(_codes(chunk) for chunk in column.chunks)])


def _codes(kinds: pa.DictionaryArray) -> NDArray[np.int8]:
    """Codes into ``KINDS``: a file may list the names in any order, and in another one in each part."""
    names = kinds.dictionary.to_pylist()
    if not set(names) <= set(KINDS):
        raise ValueError(f"column 'kind' holds {sorted(set(map(str, names)) - set(KINDS))[0]!r}")
    codes = np.array([KINDS.index(name) for name in names], dtype=np.int8)
    return np.asarray(codes[kinds.indices.to_numpy()])
