"""Rules that tell from a trained run which of its images are mislabelled.

Every rule gives each image a score, the higher the noisier, from the last epochs that the run logged (`subcentre` is in
a file of its own: it looks at the images). Angles are in radians.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from tqdm import tqdm

from noisebench.analysis.run_log import EpochSamples, RunLog
from noisebench.bench.store import Run
from noisebench.config import Settings
from noisebench.errors import FileError, UserError

Action = Literal["drop", "relabel"]

NO_LABEL = -1
OTHERS = "choose rule angle or gap, or a method that corrects, such as boundaryface"


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a rule says of the rows of a manifest.

    Attributes:
        score: The higher the noisier, float32 [N]; NaN for a row that was not judged.
        flagged: Whether the label is held to be wrong, bool [N].
        proposal: The label it is to have instead, int32 [N], ``NO_LABEL`` where there is none.
    """

    score: NDArray[np.float32]
    flagged: NDArray[np.bool_]
    proposal: NDArray[np.int32]


class Rule(Settings, ABC):
    """How images are judged, and what becomes of those whose label is held to be wrong."""

    name: ClassVar[str]
    action: Action = "drop"

    @abstractmethod
    def judge(self, run: Run, log: RunLog) -> Verdict:
        """Judge the images that a run was trained with.

        Raises:
            UserError: The run does not tell what the rule needs.
        """

    def check_method(self, name: str, options: Mapping[str, Any]) -> None:
        """Refuse a method whose runs can never tell what the rule needs; most rules need nothing special.

        Args:
            name: Of the method.
            options: All of its options.

        Raises:
            UserError: It is such a method.
        """

    @abstractmethod
    def __str__(self) -> str:
        """The rule in words, as the cleaned manifest records it."""


class _LogRule(Rule):
    """A rule that follows from the sample log alone."""

    epochs: int = Field(default=3, ge=1)

    def last_epochs(self, log: RunLog) -> Iterator[EpochSamples]:
        """The last epochs logged, oldest first, with progress."""
        for epoch in tqdm(log.epochs[-self.epochs :], desc="reading the log", unit="epoch", delay=2, disable=None):
            yield log.epoch(epoch)

    @property
    def _when(self) -> str:
        return "the last epoch" if self.epochs == 1 else f"the last {self.epochs} epochs"

    @property
    def _mean(self) -> str:
        return "in the last epoch" if self.epochs == 1 else f"mean of {self._when}"


class AngleRule(_LogRule):
    """An image is held to be mislabelled if it is far from the centre of its label."""

    name: ClassVar[str] = "angle"
    action: Literal["drop"] = "drop"
    threshold: float = math.radians(75)

    def judge(self, run: Run, log: RunLog) -> Verdict:
        """As `Rule.judge`; the score is the mean angle to the label."""
        mean = _Mean(len(log.manifest))
        for samples in self.last_epochs(log):
            mean.add(samples.row, samples.angle_label)
        score = _judged(mean, run)
        return Verdict(score, score > self.threshold, np.full(len(score), NO_LABEL, np.int32))

    def __str__(self) -> str:
        return f"drop: angle to the label above {degrees(self.threshold)}, {self._mean}"


class GapRule(_LogRule):
    """An image is held to be mislabelled if another class is nearer; which one must not change to relabel it."""

    name: ClassVar[str] = "gap"
    threshold: float = 0.0

    def judge(self, run: Run, log: RunLog) -> Verdict:
        """As `Rule.judge`; the score is the mean angle to the label less that to the nearest other class."""
        mean, nearest = _Mean(len(log.manifest)), _Steady(len(log.manifest))
        for samples in self.last_epochs(log):
            mean.add(samples.row, samples.angle_label - samples.angle_nearest)
            nearest.add(samples.row, samples.nearest)
        score, proposal = _judged(mean, run), nearest.labels(log)
        flagged = score > self.threshold
        return Verdict(score, flagged if self.action == "drop" else flagged & (proposal != NO_LABEL), proposal)

    def __str__(self) -> str:
        gap = f"angle to the label less that to the nearest other class above {degrees(self.threshold)}, {self._mean}"
        return f"{self.action}: {gap}" + (", always the same class" if self.action == "relabel" else "")


class CorrectionRule(_LogRule):
    """An image is held to be mislabelled if the method put another label in its place, the same in every epoch."""

    name: ClassVar[str] = "correction"

    def check_method(self, name: str, options: Mapping[str, Any]) -> None:
        """As `Rule.check_method`: the method has to correct labels."""
        from noisebench import methods
        from noisebench.heads.margin_softmax import MarginSoftmax

        method = methods.find(name)
        if issubclass(method, MarginSoftmax) and method.relabel is MarginSoftmax.relabel:
            raise UserError(f"rule 'correction' needs a method that corrects labels, and '{name}' does not ({OTHERS})")

    def judge(self, run: Run, log: RunLog) -> Verdict:
        """As `Rule.judge`; the score is the share of epochs in which the label was corrected."""
        mean, used = _Mean(len(log.manifest)), _Steady(len(log.manifest))
        for samples in self.last_epochs(log):
            mean.add(samples.row, samples.corrected)
            used.add(samples.row, samples.used_label)
        score, proposal = _judged(mean, run), used.labels(log)
        if not (score > 0).any():
            raise UserError(
                f"{run.folder}: '{run.record.method}' corrected no label in {self._when} of its log ({OTHERS})"
            )
        return Verdict(score, (score == 1) & (proposal != NO_LABEL), proposal)

    def __str__(self) -> str:
        return f"{self.action}: label corrected by the method, always to the same, in {self._when}"


class _Mean:
    """The mean of a number by row, over epochs that each hold some of the rows; 12 bytes a row."""

    def __init__(self, num_rows: int) -> None:
        self._sum = np.zeros(num_rows)
        self._times = np.zeros(num_rows, np.int32)

    def add(self, row: NDArray[np.int64], value: NDArray[np.floating] | NDArray[np.bool_]) -> None:
        """Take in an epoch: values [B] of distinct rows [B]; those that are not finite are left out."""
        finite = np.isfinite(value)
        self._sum[row[finite]] += value[finite]
        self._times[row[finite]] += 1

    def mean(self) -> NDArray[np.float32]:
        """The means, [N]; NaN for a row of no value."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self._sum / self._times, np.float32)


class _Steady:
    """The label of each row that was the same in all epochs; 4 bytes a row."""

    _UNSEEN, _VARIES = -1, -2

    def __init__(self, num_rows: int) -> None:
        self._label = np.full(num_rows, self._UNSEEN, np.int32)

    def add(self, row: NDArray[np.int64], label: NDArray[np.int32]) -> None:
        """Take in an epoch: labels [B] of distinct rows [B]."""
        before = self._label[row]
        self._label[row] = np.where((before == self._UNSEEN) | (before == label), label, self._VARIES)

    def labels(self, log: RunLog) -> NDArray[np.int32]:
        """The steady labels, int32 [N]; ``NO_LABEL`` where there is none.

        Raises:
            FileError: One of them is no class of the manifest.
        """
        if len(wrong := np.flatnonzero(self._label >= log.manifest.num_train_classes)):
            problem = f"its log names class {self._label[wrong[0]]} in row {wrong[0]}"
            raise FileError(log.folder, f"{problem}, but the manifest has {log.manifest.num_train_classes} classes")
        return np.maximum(self._label, np.int32(NO_LABEL))


def _judged(mean: _Mean, run: Run) -> NDArray[np.float32]:
    score = mean.mean()
    if not np.isfinite(score).any():
        raise UserError(f"{run.folder}: the log of '{run.record.method}' holds no angles to judge images by")
    return score


_THRESHOLD = re.compile(r"(-?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(deg|rad)")


def parse_angle(text: str) -> float:
    """An angle with its unit, such as ``75deg`` or ``1.3rad``, in radians.

    Raises:
        UserError: It is no such text, or beyond 180 degrees.
    """
    match = _THRESHOLD.fullmatch(text.strip())
    if match is None:
        raise UserError(f"--threshold '{text}': expected a number and its unit, such as 75deg or 1.3rad")
    angle = float(match[1]) if match[2] == "rad" else math.radians(float(match[1]))
    if abs(angle) > math.pi:
        raise UserError(f"--threshold '{text}': expected at most 180deg")
    return angle


def degrees(angle: float) -> str:
    """An angle in radians as text in degrees."""
    return f"{math.degrees(angle):.6g}°"
