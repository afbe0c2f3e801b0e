"""Fabricated manifests, sample logs and result records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisebench.analysis.sample_log import SampleLog
from noisebench.bench.record import Code, DataSource, Epoch, RunRecord, TestMetrics
from noisebench.noise.manifest import Manifest
from noisebench.noise.recipe import NoiseRecipe
from noisebench.noise.schema import CLOSED, OPEN, Counts, Fingerprints, Origin

LOGGED = ("cosine_label", "cosine_true", "cosine_nearest", "nearest", "norm", "used_label")


def manifest(kinds: list[int], num_classes: int = 10) -> Manifest:
    """A manifest whose rows have these kinds; row i is of class i (modulo their number)."""
    kind = np.array(kinds, np.int8)
    index = np.arange(len(kind))
    true_label = (index % num_classes).astype(np.int32)
    counts = Counts(**{name: int(np.sum(kind == code)) for code, name in enumerate(("clean", "closed", "open"))})
    return Manifest(
        index=index,
        true_label=true_label,
        label=np.where(kind == CLOSED, (true_label + 1) % num_classes, true_label).astype(np.int32),
        kind=kind,
        source=(kind == OPEN).astype(np.int8),
        source_index=index,
        source_label=true_label,
        origin=Origin(
            recipe=NoiseRecipe(name="fabricated"),
            seed=0,
            num_classes=num_classes,
            fingerprints=Fingerprints(base="base", outliers="outliers" if counts.open else None),
            asked=counts,
            tool_version="0",
        ),
    )


def log_epoch(folder: Path, epoch: int, rows: NDArray[np.int64], *, rank: int = 0, **columns: NDArray[Any]) -> Path:
    """Log one epoch of a run; columns not given are ones."""
    log = SampleLog(folder, rank)
    defaults: dict[str, NDArray[Any]] = dict.fromkeys(LOGGED, np.ones(len(rows), np.float32))
    log.append(rows, **(defaults | columns))
    return log.close_epoch(epoch)


def record(**changes: Any) -> RunRecord:
    """The record of a finished run with one test set; ``accuracy`` and ``tar`` go into its metrics."""
    accuracy, tar = changes.pop("accuracy", 0.9), changes.pop("tar", 0.5)
    values: dict[str, Any] = {
        "status": "done",
        "suite": "synth",
        "noise": "closed30",
        "method": "arcface",
        "seed": 0,
        "config": {},
        "method_sha256": "f" * 64,
        "manifest_checksum": "c" * 64,
        "noise_counts": {"clean": 700, "closed": 300, "open": 0},
        "seeds": {},
        "data": DataSource(name="faces", fingerprint="d" * 64, num_images=1000, num_classes=50),
        "code": Code(version="0.1.0", sha256="a" * 64, git_commit="1234567890abcdef", git_dirty=False),
        "precision": "float32",
        "metrics": {"faces": metrics(accuracy, tar)},
        "history": [Epoch(epoch=epoch, loss=1, learning_rate=0.1, images_per_second=1) for epoch in range(12)],
        **changes,
    }
    values.setdefault("hash", f"{values['noise']}-{values['method']}-{values['seed']}")
    return RunRecord(**values)


def metrics(accuracy: float, tar: float | None) -> TestMetrics:
    """The result on one test set; a rate of None was not resolved."""
    return TestMetrics(
        sha256="e" * 64,
        num_pairs=600,
        accuracy=accuracy,
        accuracy_std=0.01,
        tar_at_far={} if tar is None else {"0.001": tar},
        mean_norm=10,
    )
