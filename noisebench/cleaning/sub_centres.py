"""The drop rule of Sub-center ArcFace: an image too far from the dominant sub-centre of its label is noise.

Source: Deng et al., "Sub-center ArcFace: Boosting Face Recognition by Large-scale Noisy Web Faces", ECCV 2020. Every
image is embedded as it is, without its mirror image, and belongs to the nearest sub-centre of its label; the one with
most images is the dominant one. Paper and code differ in what is dropped beyond 75 degrees from it: by the paper only
images of other sub-centres, by the authors' code all. Their code lets identities vanish and numbers the others anew;
here every class keeps an image, and its number.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from noisebench.analysis.clean_means import embedder
from noisebench.analysis.drift import CENTRES_FILE, read_all_centres
from noisebench.analysis.run_log import RunLog
from noisebench.analysis.sample_ranking import open_faces
from noisebench.analysis.sub_centres import dominant_sub_centres
from noisebench.bench.store import Run
from noisebench.cleaning.rules import NO_LABEL, Rule, Verdict, degrees
from noisebench.data.dataset import NoisyFaces
from noisebench.errors import FileError, UserError

BATCH_SIZE = 256


class SubCentreRule(Rule):
    """Images far from the dominant sub-centre of their label are dropped."""

    name: ClassVar[str] = "subcentre"
    action: Literal["drop"] = "drop"
    threshold: float = math.radians(75)
    reading: Literal["code", "paper"] = "code"
    data: Path | None = None
    outliers: Path | None = None

    def check_method(self, name: str, options: Mapping[str, Any]) -> None:
        """As `Rule.check_method`: the method has to have several centres a class."""
        if options.get("sub_centres", 1) < 2:
            raise UserError(
                f"rule 'subcentre' needs several centres a class, and '{name}' has one"
                " (choose subcenter_arcface, or set the option sub_centres)"
            )

    def judge(self, run: Run, log: RunLog) -> Verdict:
        """As `Rule.judge`; the score is the angle to the dominant sub-centre.

        Raises:
            FileError: The run left no model or no class centres with sub-centres, or its images are elsewhere.
        """
        manifest = log.manifest
        centres = read_sub_centres(run.folder, manifest.num_train_classes)
        angles = _angles(run.folder, open_faces(run, self.data, self.outliers), centres)
        sub_centre = angles.argmin(axis=1)
        dominant = dominant_sub_centres(manifest.label, sub_centre, len(centres))[manifest.label]
        score = angles[np.arange(len(angles)), dominant]
        flagged = score > self.threshold
        if self.reading == "paper":
            flagged &= sub_centre != dominant
        return Verdict(score, flagged, np.full(len(score), NO_LABEL, np.int32))

    def __str__(self) -> str:
        which = "" if self.reading == "code" else ", image of another sub-centre"
        return f"drop: angle to the label's dominant sub-centre above {degrees(self.threshold)}{which}"


def read_sub_centres(run_folder: Path, num_classes: int) -> NDArray[np.floating]:
    """The class centres at the end of a run, float [C, K, D], mapped into memory, K being 2 at least.

    Raises:
        FileError: There are none, or they have another shape.
    """
    centres, path = read_all_centres(run_folder), run_folder / CENTRES_FILE
    if centres.ndim != 3 or centres.shape[1] < 2:
        problem = f"holds centres of shape {list(centres.shape)}: expected [classes, sub-centres, size]"
        raise FileError(path, problem, "clean by a run of a method with sub-centres, such as subcenter_arcface")
    if len(centres) != num_classes:
        raise FileError(path, f"holds the centres of {len(centres)} classes, the run's manifest has {num_classes}")
    return centres


def _angles(run_folder: Path, faces: NoisyFaces, centres: NDArray[np.floating]) -> NDArray[np.float32]:
    """The angles of each image to the sub-centres of its label, float32 [N, K]."""
    embed, threads = embedder(run_folder), len(os.sched_getaffinity(0))
    angles = np.empty((len(faces), centres.shape[1]), np.float32)
    with tqdm(total=len(faces), desc="embedding", unit="image", unit_scale=True, delay=2, disable=None) as bar:
        for start in range(0, len(faces), BATCH_SIZE):
            rows = np.arange(start, min(start + BATCH_SIZE, len(faces)))
            embeddings = embed(faces.images(rows, threads))
            if embeddings.shape[1] != centres.shape[2]:
                problem = f"its centres have {centres.shape[2]} dimensions, its embeddings {embeddings.shape[1]}"
                raise FileError(run_folder / CENTRES_FILE, problem)
            of_label = centres[faces.manifest.label[rows]].astype(np.float32)
            cosines = np.einsum("bkd,bd->bk", _unit(of_label), _unit(embeddings))
            angles[rows] = np.arccos(np.clip(cosines, -1, 1))
            bar.update(len(rows))
    return angles


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny))
