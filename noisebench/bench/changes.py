"""Runs that were interrupted and can no longer go on, because what they are made of has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from noisebench.bench.cell import Cell
from noisebench.bench.lock import is_held
from noisebench.bench.record import RECORD_FILE, RunRecord

_MOST_SHOWN = 6


def changed_runs(cells: Iterable[Cell]) -> Iterator[str]:
    """A line for each interrupted run of another hash with suite, noise, method and seed of a cell that is new."""
    for cell in cells:
        if cell.stored() is not None:
            continue
        pattern = f"seed{cell.record.seed}-*/{RECORD_FILE}"
        for path in sorted(cell.folder.parent.glob(pattern)):
            old = RunRecord.read(path.parent)
            if old.status in ("interrupted", "running") and not is_held(path.parent):
                yield (
                    f"{cell.record.noise}: {cell.label} was interrupted before, but {_told(old, cell.record)}; so it "
                    f"starts anew. The old one goes on when that is undone; {path.parent} can be removed if not"
                )


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """Every value that differs between two nested mappings, as ``key: old -> new``."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        below = (differences(old.get(name), new.get(name), f"{key}.{name}" if key else str(name)) for name in keys)
        return [line for lines in below for line in lines]
    return [] if old == new else [f"{key}: {_short(old)} -> {_short(new)}"]


def _told(old: RunRecord, new: RunRecord) -> str:
    changed = differences(_content(old), _content(new))
    if not changed:
        return "a test set or the rendering of outliers has changed"
    more = f" and {len(changed) - _MOST_SHOWN} more" if len(changed) > _MOST_SHOWN else ""
    return f"changed is {'; '.join(changed[:_MOST_SHOWN])}{more}"


def _content(record: RunRecord) -> dict[str, Any]:
    """What shapes a run, as far as its record tells."""
    return {
        **record.config,
        "data set": {"name": record.data.name, "fingerprint": record.data.fingerprint},
        "outlier set": {"fingerprint": record.outliers.fingerprint if record.outliers else None},
        "noise manifest": record.manifest_checksum,
        "noise per batch": record.noise_per_batch.model_dump(mode="json") if record.noise_per_batch else None,
        "source of the method": record.method_sha256,
        "plug-ins": {f"{plugin.kind} {plugin.name}": plugin.sha256 for plugin in record.code.plugins},
    }


def _short(value: Any) -> str:
    text = str(value)
    return text[:8] if len(text) == 64 else text  # a checksum
