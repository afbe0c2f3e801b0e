"""Galleries: samples worth looking at, each beside clean images of the classes that it might be of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd

from noisebench.analysis.run_log import EpochSamples, RunLog
from noisebench.analysis.sample_ranking import rank_samples, sources_of
from noisebench.bench.store import Run
from noisebench.data.dataset import NoisyFaces
from noisebench.formats.jpeg import Image, encode
from noisebench.noise.schema import CLEAN

COLUMNS = ("label given", "proposed", "truth")
"""The classes that a sample is set beside. Proposed is the corrected label or, without a correction, the nearest."""
SIDE = 96
"""Pixels of the longer side of an image in a gallery."""


@dataclass(frozen=True)
class Exemplars:
    """What a class looks like: its clean images nearest to its centre, as JPEG; none where there is no such class."""

    caption: str
    images: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class GalleryRow:
    """A sample.

    Attributes:
        image: As JPEG.
        caption: Which image it is.
        kind: What was done to it: clean, closed or open.
        groups: Exemplars, one for each of `COLUMNS`.
    """

    image: bytes
    caption: str
    kind: str
    groups: tuple[Exemplars, ...]


@dataclass(frozen=True)
class Gallery:
    """Samples that have something in common."""

    name: str
    title: str
    rows: tuple[GalleryRow, ...]


SUBJECTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "mislabelled": ("Mislabelled samples, the farthest from their label", {"kind": "closed"}),
    "falsely-corrected": ("Falsely corrected samples", {"fault": "corrected"}),
    "memorised": ("Noise that was fitted to its label", {"fault": "fitted"}),
    "hardest": ("The hardest clean samples", {"kind": "clean"}),
}
"""Title of each gallery, and what `rank_samples` is asked for."""


def galleries(run: Run, faces: NoisyFaces, num_rows: int = 6, num_exemplars: int = 2) -> list[Gallery]:
    """The galleries of a run in its last logged epoch; one of which there is no sample is left out.

    Args:
        run: A run with a sample log.
        faces: What it was trained on, see `noisebench.analysis.sample_ranking.open_faces`.
        num_rows: Samples in a gallery, at most.
        num_exemplars: Images of each class, at most.

    Raises:
        UserError: The log or an image cannot be read.
    """
    log = RunLog.of_run(run)
    samples = log.epoch(log.epochs[-1])
    found: dict[int, tuple[bytes, ...]] = {}

    def exemplars(label: int) -> tuple[bytes, ...]:
        if label not in found:
            found[label] = _exemplars(samples, faces, label, num_exemplars)
        return found[label]

    made = []
    for name, (title, choice) in SUBJECTS.items():
        ranked = rank_samples(run, top=num_rows, **choice)
        rows = _rows(run, ranked, faces, exemplars)
        if rows:
            made.append(Gallery(name, title, rows))
    return made


def _rows(
    run: Run, ranked: pd.DataFrame, faces: NoisyFaces, exemplars: Callable[[int], tuple[bytes, ...]]
) -> tuple[GalleryRow, ...]:
    from_outliers, keys = sources_of(run, ranked, faces.manifest)
    rows = []
    for place, sample in enumerate(ranked.to_dict("records")):
        source = faces.outliers if from_outliers[place] and faces.outliers is not None else faces.base
        is_corrected = sample["used_label"] != sample["label"]
        proposed = sample["used_label"] if is_corrected else sample["nearest"]
        truth = sample["true_label"]
        groups = [Exemplars(f"class {sample['label']}, {_degrees(sample['angle_label'])}", exemplars(sample["label"]))]
        word = "corrected to" if is_corrected else "nearest:"
        groups.append(Exemplars(f"{word} class {proposed}", exemplars(proposed)))
        if truth < 0:
            groups.append(Exemplars("nobody of this set"))
        elif truth == sample["label"]:
            groups.append(Exemplars("as labelled"))
        else:
            groups.append(Exemplars(f"class {truth}, {_degrees(sample['angle_true'])}", exemplars(truth)))
        image = _small(source.image(int(keys[place])))
        rows.append(GalleryRow(image, f"image {sample['index']}", sample["kind"], tuple(groups)))
    return tuple(rows)


def _exemplars(samples: EpochSamples, faces: NoisyFaces, label: int, number: int) -> tuple[bytes, ...]:
    """The clean images of a class that are nearest to its centre."""
    of_class = np.flatnonzero((samples.label == label) & (samples.kind == CLEAN))
    nearest = of_class[np.argsort(samples.angle_label[of_class], kind="stable")[:number]]
    keys = faces.manifest.source_index[samples.row[nearest]].tolist()
    return tuple(_small(faces.base.image(key)) for key in keys)


def _small(image: Image) -> bytes:
    scale = SIDE / max(image.shape[:2])
    if scale < 1:
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return encode(image, quality=82)


def _degrees(angle: float) -> str:
    return "–" if np.isnan(angle) else f"{np.degrees(angle):.0f}°"
