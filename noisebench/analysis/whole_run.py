"""Every analysis of a run, in files: one pass over its sample log, then what its other files tell."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from noisebench import __version__
from noisebench.analysis.angles import angle_histograms
from noisebench.analysis.clean_means import drift_from_clean_means
from noisebench.analysis.corrections import CorrectionHistory, corrections
from noisebench.analysis.detection import count_scores, detection, detection_curves
from noisebench.analysis.drift import by_class_size, drift_by_epoch, drift_from_clean_run
from noisebench.analysis.inputs import fingerprint
from noisebench.analysis.memorisation import memorisation
from noisebench.analysis.noise_rate import noise_rates
from noisebench.analysis.plain import plain
from noisebench.analysis.quality import norm_by_sharpness, norms_and_sharpness, rank_correlation
from noisebench.analysis.run_log import EpochSamples, RunLog
from noisebench.analysis.state_log import STATE_FILE, read_state, thinned
from noisebench.analysis.sub_centres import sub_centres
from noisebench.bench.record import RECORD_FILE, RunRecord
from noisebench.bench.store import Run
from noisebench.data.dataset import NoisyFaces
from noisebench.errors import FileError, UserError
from noisebench.files import whole_file, write_text
from noisebench.formats.data_source import open_data
from noisebench.noise.schema import CLOSED

FOLDER = "analysis"
SUMMARY_FILE = "summary.json"
IN_SUMMARY = ("detection", "noise_rate", "corrections", "memorisation", "sub_centres")
"""Tables whose rows of the last epoch the summary repeats."""


@dataclass(frozen=True)
class Images:
    """Where a run's images are, for the analyses that look at them.

    Attributes:
        data: Folder of the training set.
        outliers: Of the outlier set, where the noise takes images from it.
        per_class: At most so many clean images of each class are embedded.
        num_classes: Of so many classes, drawn by hash; None for all.
        num_sharpness: So many images are measured for blur.
    """

    data: Path
    outliers: Path | None = None
    per_class: int = 10
    num_classes: int | None = None
    num_sharpness: int = 5000


@dataclass
class Analysis:
    """What is known of a run.

    Attributes:
        run: The run.
        log: Its sample log.
        inputs: Fingerprint of the files that are read, and of the code that reads them.
        has_images: Whether the images are looked at.
        tables: By name, as they are written.
        notes: What could not be computed, and why, a sentence each.
        facts: Numbers that stand for a whole table.
    """

    run: Run
    log: RunLog
    inputs: str
    has_images: bool = False
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """The run, the notes, and of the main tables what they say of the last epoch; JSON's types, NaN being null."""
        record = self.run.record
        last: dict[str, Any] = {}
        for name in IN_SUMMARY:
            if (table := self.tables.get(name)) is not None:
                last[name] = table[table["epoch"] == table["epoch"].max()].to_dict("records")
        summary = {
            "tool_version": __version__,
            **record.model_dump(mode="json", include={"suite", "noise", "method", "seed", "hash", "manifest_checksum"}),
            "code_sha256": record.code.sha256,
            "status": record.status,
            "epochs": list(self.log.epochs),
            "inputs": self.inputs,
            "images": self.has_images,
            "notes": self.notes,
            "facts": self.facts,
            "last_epoch": last,
            "tables": sorted(self.tables),
        }
        return dict(plain(summary))

    def write(self, folder: Path) -> None:
        """Write each table as CSV, and the summary as JSON."""
        for name, table in self.tables.items():
            with whole_file(folder / f"{name}.csv") as temporary:
                table.to_csv(temporary, index=False, float_format="%.7g")
        write_text(folder / SUMMARY_FILE, json.dumps(self.summary(), indent=2) + "\n")


def open_run(folder: Path) -> Run:
    """The run in a folder.

    Raises:
        FileError: The folder is no run's.
    """
    folder = folder.resolve()
    if not (folder / RECORD_FILE).is_file():
        raise FileError(folder / RECORD_FILE, "no such file", "give the folder of a run, with its result.json")
    return Run(folder, RunRecord.read(folder))


def analyse(run: Run, *, clean: Run | None = None, images: Images | None = None) -> Analysis:
    """Do every analysis that a run's files allow; what they do not allow is noted.

    Args:
        run: The run.
        clean: A run of the same data set on clean labels, to compare the centres with.
        images: Where the images are, to embed clean ones and to measure blur; None does neither.

    Raises:
        UserError: The run has no readable sample log or manifest, or ``clean`` or ``images`` do not fit it.
    """
    log = RunLog.of_run(run)
    faces = None if images is None else _faces(images, log)
    analysis = Analysis(run, log, fingerprint(run.folder), images is not None, notes=list(log.notes))
    last = _over_epochs(analysis)
    _add(analysis, "centre_drift", lambda: drift_by_epoch(run.folder, log.manifest))
    if (run.folder / STATE_FILE).is_file():
        _add(analysis, "method_state", lambda: thinned(read_state(run.folder)))
    if clean is not None:
        _add_drift(analysis, "from_clean_run", drift_from_clean_run(run, clean))
    if images is not None and faces is not None:
        _look_at_images(analysis, last, images, faces)
    return analysis


def _over_epochs(analysis: Analysis) -> EpochSamples:
    """Do the analyses of the sample log; give the last epoch that can be read."""
    log = analysis.log
    flipped = None if log.has_noise_per_batch else int((log.manifest.kind == CLOSED).sum())
    history = CorrectionHistory(len(log.manifest))
    parts: dict[str, list[pd.DataFrame]] = {}
    last = None
    for epoch in tqdm(log.epochs, desc="analyse epochs", disable=None):
        try:
            samples = log.epoch(epoch)
        except FileError as error:
            analysis.notes.append(f"epoch {epoch} is left out: {error}")
            continue
        counted = count_scores(samples)
        frames = {
            "angles": angle_histograms(samples),
            "detection": detection(epoch, counted),
            "detection_curves": detection_curves(epoch, counted),
            "noise_rate": noise_rates(samples),
            "corrections": corrections(samples, flipped),
            "memorisation": memorisation(samples),
        }
        if samples.sub_centre is not None:
            frames["sub_centres"] = sub_centres(samples)
        if not log.has_noise_per_batch:
            history.add(samples)
        for name, frame in frames.items():
            parts.setdefault(name, []).append(frame)
        last = samples
    if last is None:
        raise FileError(log.folder, f"no epoch of its sample log can be analysed: {analysis.notes[-1]}")
    analysis.tables |= {name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()}
    _note_what_the_log_lacks(analysis, history)
    return last


def _note_what_the_log_lacks(analysis: Analysis, history: CorrectionHistory) -> None:
    if not analysis.tables["corrections"]["corrected"].any():
        analysis.notes.append("no label was corrected in any epoch")
    elif analysis.log.has_noise_per_batch:
        analysis.notes.append("noise is drawn by batch: how stable a sample's corrections are is not defined")
    else:
        analysis.tables |= {"correction_changes": history.changes(), "correction_frequency": history.frequency()}
    told = len(analysis.tables.get("sub_centres", ()))
    if told < len(analysis.tables["corrections"]) and analysis.run.record.number("method.options.sub_centres", 1) > 1:
        analysis.notes.append(f"{told} epochs of the sample log tell sub-centres: shares of the others are left out")


def _faces(images: Images, log: RunLog) -> NoisyFaces:
    outliers = open_data(images.outliers) if images.outliers else None
    return NoisyFaces(open_data(images.data), outliers, log.manifest)


def _look_at_images(analysis: Analysis, last: EpochSamples, images: Images, faces: NoisyFaces) -> None:
    norms = norms_and_sharpness(last, faces, images.num_sharpness)
    analysis.tables["norm_sharpness"] = norms
    analysis.tables["norm_by_sharpness"] = norm_by_sharpness(norms["norm"].to_numpy(), norms["sharpness"].to_numpy())
    analysis.facts["norm_sharpness_rank_correlation"] = rank_correlation(
        norms["norm"].to_numpy(), norms["sharpness"].to_numpy()
    )
    try:
        classes = drift_from_clean_means(analysis.run.folder, faces, images.per_class, images.num_classes)
    except FileError as error:  # a run that is not finished has left no model
        analysis.notes.append(str(error))
    else:
        _add_drift(analysis, "from_clean_means", classes)


def _add_drift(analysis: Analysis, name: str, classes: pd.DataFrame) -> None:
    """Add a table of classes and its sums by class size."""
    analysis.tables[f"centres_{name}"] = classes
    sums = by_class_size(classes["angle"].to_numpy(), classes["images"].to_numpy())
    analysis.tables[f"centres_{name}_by_size"] = sums
    analysis.facts[f"mean_angle_{name}"] = float(sums["mean"].iloc[0]) if len(sums) else math.nan


def _add(analysis: Analysis, name: str, compute: Callable[[], pd.DataFrame]) -> None:
    """Add a table, or the reason why there is none."""
    try:
        analysis.tables[name] = compute()
    except UserError as error:
        analysis.notes.append(str(error))
