"""A run's sample log with the truth beside it, one epoch at a time: what the analyses of samples start from.

An epoch of 5.8 million images takes 0.3 GB; no more than one is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from noisebench.analysis.sample_log import epoch_folder, join_manifest, logged_epochs, read_samples
from noisebench.bench.store import Run
from noisebench.errors import FileError, UserError
from noisebench.noise.manifest import Manifest
from noisebench.noise.schema import CLEAN, CLOSED, KINDS, OPEN

SUB_CENTRE = "sub_centre"
SAME_ANGLE = 0.01
"""Radians: angles to the label and to the true class of a clean image differ by less, they are to the same centre."""
MAX_CONTRADICTIONS = 0.01
"""Of the rows: with more that contradict the manifest, the log is another run's."""


@dataclass(frozen=True, eq=False)
class EpochSamples:
    """What became of each sample in one epoch: arrays [N], sorted by manifest row, each row once.

    Attributes:
        epoch: Counted from 0.
        row: Manifest rows, int64.
        angle_label: Angle in radians to the centre of the label given, float32.
        angle_true: To the centre of the true class; NaN where there is none.
        angle_nearest: To the nearest centre of another class than the label given.
        nearest: That class, int32.
        norm: Of the raw embedding, float32.
        used_label: The label the loss used, int32.
        kind: What was done to the sample, codes into ``KINDS``, int8; with noise by batch, what was done this time.
        label: The label given, int32.
        true_label: The true class, int32; for an open-set sample, that of the image it stands in for.
        sub_centre: The label's sub-centre it was nearest to, from 0; None where the log does not say.
    """

    epoch: int
    row: NDArray[np.int64]
    angle_label: NDArray[np.float32]
    angle_true: NDArray[np.float32]
    angle_nearest: NDArray[np.float32]
    nearest: NDArray[np.int32]
    norm: NDArray[np.float32]
    used_label: NDArray[np.int32]
    kind: NDArray[np.int8]
    label: NDArray[np.int32]
    true_label: NDArray[np.int32]
    sub_centre: NDArray[np.integer] | None = None

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def corrected(self) -> NDArray[np.bool_]:
        """Whether the loss used another label than the one given, [N]."""
        return np.asarray(self.used_label != self.label)


@dataclass(frozen=True, eq=False)
class RunLog:
    """The sample log of a run, and the manifest it was trained with.

    Attributes:
        folder: The run's folder.
        manifest: Its noise manifest.
        epochs: The epochs logged, ascending.
        notes: What is missing or cannot be computed, a sentence each.
    """

    folder: Path
    manifest: Manifest
    epochs: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, num_epochs: int | None = None) -> RunLog:
        """Look which epochs are logged.

        Args:
            folder: The run's folder.
            manifest: The run's noise manifest.
            num_epochs: How many epochs there should be; None where that is unknown.

        Raises:
            FileError: There is no sample log.
        """
        epochs = tuple(logged_epochs(folder))
        return cls(folder, manifest, epochs, (*_missing(epochs, num_epochs), *_one_sided(manifest)))

    @classmethod
    def of_run(cls, run: Run) -> RunLog:
        """The log of a run on disk.

        Raises:
            FileError: The run has no sample log or manifest, or the manifest beside it is another one.
        """
        manifest, record = run.manifest(), run.record
        if manifest.checksum != record.manifest_checksum or manifest.num_base_images != record.data.num_images:
            problem = f"was trained with manifest {record.manifest_checksum[:8]} of {record.data.num_images} images"
            beside = f"{manifest.checksum[:8]} of {manifest.num_base_images}"
            raise FileError(run.folder, f"{problem}, but beside it lies {beside}")
        return cls.open(run.folder, manifest, len(record.history) or None)

    @property
    def has_noise_per_batch(self) -> bool:
        """Whether noise is drawn by batch, and so is no property of a sample."""
        return self.manifest.origin.recipe.per_batch is not None

    def __iter__(self) -> Iterator[EpochSamples]:
        return map(self.epoch, self.epochs)

    def over_epochs(self, analysis: Callable[[EpochSamples], pd.DataFrame]) -> pd.DataFrame:
        """The frames of an analysis of one epoch, for all epochs, one below the other."""
        return pd.concat([analysis(samples) for samples in self], ignore_index=True)

    def epoch(self, epoch: int) -> EpochSamples:
        """Read one epoch.

        Raises:
            FileError: It is not logged, a file is damaged, a row is there twice, or the log is another manifest's.
        """
        folder = epoch_folder(self.folder, epoch)
        try:
            frame = join_manifest(read_samples(self.folder, epoch), self.manifest)
        except FileError:
            raise
        except UserError as error:
            raise FileError(folder, str(error)) from error
        samples = EpochSamples(
            epoch=epoch,
            kind=np.asarray(frame["kind"].cat.codes, np.int8),
            sub_centre=frame[SUB_CENTRE].to_numpy() if SUB_CENTRE in frame else None,
            **{name: frame[name].to_numpy() for name in _COLUMNS},
        )
        _check(samples, folder)
        return samples


_COLUMNS = ("row", "angle_label", "angle_true", "angle_nearest", "nearest", "norm", "used_label", "label", "true_label")


def by_kind(kind: NDArray[np.int8]) -> dict[str, NDArray[np.bool_]]:
    """Which samples are clean, closed and open, [N] each; kinds of no sample are left out."""
    masks = {name: kind == code for code, name in enumerate(KINDS)}
    return {name: mask for name, mask in masks.items() if mask.any()}


def _check(samples: EpochSamples, folder: Path) -> None:
    """Refuse an epoch that holds a row twice, or that the manifest contradicts."""
    if not len(samples):
        raise FileError(folder, "holds no row", "remove it and train that epoch anew")
    if not np.isfinite(samples.angle_label).any():
        raise FileError(folder, "holds no angle that is a number: training had diverged")
    again = np.flatnonzero(samples.row[1:] == samples.row[:-1])
    if again.size:
        problem = f"row {samples.row[again[0]]} is logged twice (one of {again.size} such rows)"
        raise FileError(folder, problem, "remove the files of ranks that the run no longer has, or that epoch")
    is_known = ~np.isnan(samples.angle_true)
    apart = np.abs(samples.angle_true - samples.angle_label) > SAME_ANGLE
    contradicts = is_known & ((samples.kind == OPEN) | (samples.kind == CLEAN) & apart)
    if np.count_nonzero(contradicts) > MAX_CONTRADICTIONS * len(samples):
        problem = (
            f"{np.count_nonzero(contradicts)} of {len(samples)} rows contradict the manifest, "
            f"first row {samples.row[contradicts.argmax()]}: it is another run's manifest"
        )
        raise FileError(folder, problem, "give the manifest that the run was trained with")


def _missing(epochs: tuple[int, ...], num_epochs: int | None) -> Iterator[str]:
    expected = max(epochs[-1] + 1, num_epochs or 0)
    missing = sorted(set(range(expected)) - set(epochs))
    if missing:
        named = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
        yield f"{len(missing)} of {expected} epochs are not in the sample log ({named}): they are left out"


def _one_sided(manifest: Manifest) -> Iterator[str]:
    if manifest.num_train_classes < 2:
        yield "there is one class alone: which other one is nearest, and all that follows from it, means nothing"
    if manifest.origin.recipe.per_batch is not None:
        return
    if not (manifest.kind != CLEAN).any():
        yield "no sample is noisy: detection of noise, corrections of it and memorisation are not defined"
    elif not (manifest.kind == CLEAN).any():
        yield "no sample is clean: detection of noise is not defined"
    elif not (manifest.kind == CLOSED).any():
        yield "no sample has closed-set noise: corrections to the true class are not defined"
