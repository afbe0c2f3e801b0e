"""The analyses of a run, read from where ``noisebench analyze`` leaves them, or done and left there now."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from noisebench import __version__
from noisebench.analysis.inputs import fingerprint
from noisebench.analysis.run_log import RunLog
from noisebench.analysis.whole_run import FOLDER, SUMMARY_FILE, Images, analyse
from noisebench.bench.store import Run
from noisebench.errors import FileError

NUMBERS: Mapping[str, tuple[str, ...]] = {
    "memorisation": ("epoch", "to_label", "to_true"),
    "corrections": ("epoch", "corrected", "precision", "recall", "corrected_to_true", "clean_harmed"),
    "detection": ("epoch", "auc"),
    "detection_curves": ("epoch", "fpr", "tpr", "precision"),
    "noise_rate": ("epoch", "true_rate", "twice_left", "below_valley"),
    "sub_centres": ("epoch", "dominant_clean", "dominant_noisy", "other_clean", "other_noisy"),
    "centre_drift": ("epoch", "mean"),
    "centres_from_clean_means": ("label", "angle"),
    "norm_sharpness": ("norm", "sharpness"),
    "method_state": ("step",),
}
"""The tables that are drawn, and which of their columns hold numbers."""
NAMES: Mapping[str, tuple[str, ...]] = {
    "memorisation": ("kind",),
    "detection": ("score", "noise"),
    "detection_curves": ("score",),
    "centre_drift": ("since", "images"),
    "norm_sharpness": ("kind",),
}
"""Which hold names."""


@dataclass(frozen=True)
class RunTables:
    """What the analysis of a run found.

    Attributes:
        tables: Those of `NUMBERS` that there are, by name.
        notes: What could not be computed, and why, a sentence each.
    """

    tables: dict[str, pd.DataFrame]
    notes: tuple[str, ...]


def tables_of(run: Run, images: Images | None = None) -> RunTables:
    """The tables of a run. Without those of these very files and this code, they are computed, and left in its folder.

    Args:
        run: The run.
        images: Where its images are, for the tables that need them; None is content with those that there are.

    Raises:
        UserError: The run has no readable sample log or manifest, or ``images`` do not fit it.
    """
    found = _stored(run, with_images=images is not None)
    if found is not None:
        return found
    analysis = analyse(run, images=images)
    with contextlib.suppress(FileError):  # where nothing can be written, the next report takes as long as this one
        analysis.write(run.folder / FOLDER)
    return RunTables(
        {name: analysis.tables[name] for name in NUMBERS if name in analysis.tables}, tuple(analysis.notes)
    )


def _stored(run: Run, *, with_images: bool) -> RunTables | None:
    """What lies in the run's folder; None if that is of other files or code, lacks the images, or is damaged."""
    folder = run.folder / FOLDER
    try:
        summary = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
        expected = {
            "tool_version": __version__,
            "hash": run.record.hash,
            "code_sha256": run.record.code.sha256,
            "status": run.record.status,
            "epochs": list(RunLog.of_run(run).epochs),
            "inputs": fingerprint(run.folder),
        }
        if {name: summary[name] for name in expected} != expected or with_images > summary["images"]:
            return None
        there = [name for name in NUMBERS if name in summary["tables"]]
        return RunTables({name: _read(folder, name) for name in there}, tuple(map(str, summary["notes"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read(folder: Path, name: str) -> pd.DataFrame:
    names: dict[str, Any] = dict.fromkeys(NAMES.get(name, ()), str)
    table = pd.read_csv(folder / f"{name}.csv", dtype=names)
    numbers = [column for column in table if column not in names] if name == "method_state" else NUMBERS[name]
    if not all(pd.api.types.is_numeric_dtype(table[column]) for column in [*numbers]):
        raise ValueError(f"{name}.csv holds something else than numbers")
    return table.astype(names)  # a missing column is a KeyError
