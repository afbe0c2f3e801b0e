"""A run of made-up samples, whose log does not contradict its manifest, and its rows as plain Python values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from noisebench.analysis.run_log import EpochSamples, RunLog
from noisebench.bench.record import RunRecord
from noisebench.bench.store import Run, manifest_path
from noisebench.noise.manifest import Manifest
from noisebench.noise.schema import CLEAN, CLOSED, OPEN
from tests.analysis.runs import log_epoch, manifest, record

NUM_CLASSES = 10
KINDS = [CLEAN] * 60 + [CLOSED] * 25 + [OPEN] * 15


def log_made_up(folder: Path, noise: Manifest, epoch: int, seed: int, left_out: Sequence[int] = ()) -> None:
    """Log an epoch whose samples stand anywhere; a third of them are corrected, half of those to the true class."""
    random = np.random.Generator(np.random.Philox(seed))
    rows = np.setdiff1d(np.arange(len(noise)), left_out)
    label, true, kind = noise.label[rows], noise.true_label[rows], noise.kind[rows]
    nearest = (label + random.integers(1, NUM_CLASSES, len(rows))) % NUM_CLASSES
    angle_label, angle_nearest, angle_true = (random.choice(np.linspace(0.1, 3, 30), len(rows)) for _ in range(3))
    angle_true = np.where(kind == CLEAN, angle_label, np.where(kind == OPEN, np.nan, angle_true))
    draw = random.random(len(rows))
    used = np.where(draw < 1 / 6, true, np.where(draw < 1 / 3, nearest, label))
    order = random.permutation(len(rows))
    log_epoch(
        folder,
        epoch,
        rows[order],
        cosine_label=np.cos(angle_label)[order],
        cosine_true=np.cos(angle_true)[order],
        cosine_nearest=np.cos(angle_nearest)[order],
        nearest=nearest[order],
        norm=random.choice([8.0, 9.0, 10.0, 11.0], len(rows)),
        used_label=used[order],
    )


def made_up_log(folder: Path, kinds: list[int] | None = None, epochs: Sequence[int] = (0, 1, 2)) -> RunLog:
    """A run of these kinds and epochs; each epoch leaves out the rows of its own number, as the last batch does."""
    noise = manifest(KINDS if kinds is None else kinds, NUM_CLASSES)
    for epoch in epochs:
        log_made_up(folder, noise, epoch, seed=epoch, left_out=[epoch])
    return RunLog.open(folder, noise)


def made_up_run(results: Path, noise: str = "closed30", kinds: list[int] | None = None, **changes: Any) -> Run:
    """A finished run of three logged epochs, in a results folder, with its record and manifest."""
    made = manifest(KINDS if kinds is None else kinds, NUM_CLASSES)
    counts = {name: int((made.kind == code).sum()) for code, name in enumerate(("clean", "closed", "open"))}
    written: RunRecord = record(noise=noise, manifest_checksum=made.checksum, noise_counts=counts, **changes)
    data = written.data.model_copy(update={"num_images": len(made), "num_classes": NUM_CLASSES})
    written = written.model_copy(update={"data": data, "history": written.history[:3]})
    folder = results / "runs" / "synth" / noise / written.method / f"seed{written.seed}-{written.hash[:8]}"
    folder.mkdir(parents=True)
    written.write(folder)
    made.write(manifest_path(folder.parents[1], made.checksum, None))
    made_up_log(folder, kinds)
    return Run(folder, written)


def plain(samples: EpochSamples) -> list[SimpleNamespace]:
    """The samples one by one, to go through in a loop."""
    names = [name for name in vars(samples) if name not in ("epoch", "sub_centre", "corrected")]
    columns = [getattr(samples, name).tolist() for name in names]
    return [SimpleNamespace(**dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]
