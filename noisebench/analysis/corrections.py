"""Label corrections: what a method put in place of the labels given, judged by the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from noisebench.analysis.run_log import EpochSamples, by_kind
from noisebench.noise.schema import CLEAN, CLOSED, KINDS, OPEN


def corrections(samples: EpochSamples, num_flipped: int | None = None) -> pd.DataFrame:
    """The corrections of one epoch. A correction is a sample whose used label is not the one given.

    Args:
        samples: Of the epoch.
        num_flipped: Images with closed-set noise in the whole training set; None takes those of the epoch, which leaves
            out an incomplete batch at its end.

    Returns:
        One row. ``epoch``; the numbers of ``samples``, ``closed``, ``open``, ``corrected`` samples, and of corrections
        ``to_true`` (closed-set noise, now with its true class), ``to_wrong`` (closed-set noise, with yet another
        class), ``of_open`` (no class is right) and ``of_clean`` (harmed). Then shares, NaN where of nothing:

        - ``precision``: corrected samples that were noisy; ``recall``: noisy samples that were corrected;
        - ``corrected_to_true``, ``corrected_to_wrong``: of closed-set noise;
        - ``clean_harmed``: of clean samples;
        - ``verify_precision``, ``verify_recall``: what BoundaryFace's utils/verify.py prints, ``to_true`` over
          ``corrected`` and over ``num_flipped``. It matches pairs of image and label, so that only a correction to the
          true class counts, and knows no open-set noise.
    """
    corrected = samples.corrected
    is_true = samples.used_label == samples.true_label
    closed, clean, is_open = (samples.kind == code for code in (CLOSED, CLEAN, OPEN))
    numbers = {
        "samples": np.ones_like(corrected),
        "closed": closed,
        "open": is_open,
        "corrected": corrected,
        "to_true": corrected & closed & is_true,
        "to_wrong": corrected & closed & ~is_true,
        "of_open": corrected & is_open,
        "of_clean": corrected & clean,
    }
    n = {name: int(np.count_nonzero(mask)) for name, mask in numbers.items()}
    noisy = n["closed"] + n["open"]
    of_noisy = n["to_true"] + n["to_wrong"] + n["of_open"]
    shares = {
        "precision": _share(of_noisy, n["corrected"]),
        "recall": _share(of_noisy, noisy),
        "corrected_to_true": _share(n["to_true"], n["closed"]),
        "corrected_to_wrong": _share(n["to_wrong"], n["closed"]),
        "clean_harmed": _share(n["of_clean"], n["samples"] - noisy),
        "verify_precision": _share(n["to_true"], n["corrected"]),
        "verify_recall": _share(n["to_true"], n["closed"] if num_flipped is None else num_flipped),
    }
    return pd.DataFrame([{"epoch": samples.epoch, **n, **shares}])


class CorrectionHistory:
    """How stable the corrections of each sample are: fed with one epoch after the other, 13 bytes a row in memory.

    It is not defined for noise by batch, where a sample is given another label in every epoch.

    Args:
        num_rows: Rows of the manifest.
    """

    def __init__(self, num_rows: int) -> None:
        self._kind = np.full(num_rows, -1, np.int8)
        self._previous = np.full(num_rows, -1, np.int32)  # label used in the epoch before, -1 where not logged there
        self._first = np.full(num_rows, -1, np.int32)  # label of the first correction, -1 before it
        self._times = np.zeros(num_rows, np.int32)
        self._varies = np.zeros(num_rows, np.bool_)
        self._changes: list[dict[str, int | str]] = []
        self._epoch: int | None = None

    def add(self, samples: EpochSamples) -> None:
        """Take in the next epoch."""
        row, used, corrected = samples.row, samples.used_label, samples.corrected
        previous = self._previous[row]
        if self._epoch is not None:
            was = (previous >= 0) & (previous != samples.label)
            for kind, mask in by_kind(samples.kind).items():
                self._changes.append(
                    {
                        "epoch": samples.epoch,
                        "previous_epoch": self._epoch,
                        "kind": kind,
                        "corrected_before": _count(was & mask),
                        "kept": _count(was & mask & (used == previous)),
                        "moved": _count(was & mask & corrected & (used != previous)),
                        "dropped": _count(was & mask & ~corrected),
                    }
                )
        self._kind[row] = samples.kind
        self._times[row] += corrected
        first = self._first[row]
        self._varies[row] |= corrected & (first >= 0) & (used != first)
        self._first[row] = np.where(corrected & (first < 0), used, first)
        self._previous.fill(-1)
        self._previous[row] = used
        self._epoch = samples.epoch

    def changes(self) -> pd.DataFrame:
        """What became of the corrections of an epoch in the next one logged.

        Returns:
            By ``epoch`` (after ``previous_epoch``) and ``kind``: of the samples logged in both and
            ``corrected_before``, how many were ``kept`` (corrected to the same label), ``moved`` (to another one) and
            ``dropped`` (not corrected).
        """
        columns = ["epoch", "previous_epoch", "kind", "corrected_before", "kept", "moved", "dropped"]
        return pd.DataFrame(self._changes, columns=columns)

    def frequency(self) -> pd.DataFrame:
        """In how many epochs samples were corrected.

        Returns:
            By ``kind`` and ``epochs_corrected``, from 0: the number of ``samples``, and how many of them were corrected
            to one and the same label every time (``to_one_label``).
        """
        parts = []
        for code, kind in enumerate(KINDS):
            mask = self._kind == code
            if mask.any():
                times = self._times[mask]
                total = np.bincount(times)
                steady = np.bincount(times[~self._varies[mask]], minlength=len(total))
                steady[0] = 0
                columns = {"epochs_corrected": np.arange(len(total)), "samples": total, "to_one_label": steady}
                parts.append(pd.DataFrame({"kind": kind, **columns}))
        return pd.concat(parts, ignore_index=True)


def _count(mask: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(mask))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
