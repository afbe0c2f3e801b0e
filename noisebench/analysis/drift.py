"""Drift of class centres: by epoch, from those of the clean run, from the mean of a class's truly clean samples.

``centres.npy`` in a run's folder holds its centres at the end of training, not normalised: float32 [C, D], or [C, K, D]
where classes have sub-centres, of which the dominant one comes first and is meant here. All angles are in radians.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from noisebench.analysis.centre_log import angles, read_centres
from noisebench.bench.store import Run
from noisebench.errors import FileError, UserError
from noisebench.noise.manifest import Manifest
from noisebench.noise.schema import CLEAN

CENTRES_FILE = "centres.npy"
SIZE_EDGES = (1, 5, 10, 20, 50, 100, 200, 500)
"""Images labelled with a class: where each group of class sizes begins."""
CLASSES_AT_ONCE = 1 << 14


def drift_by_epoch(run_folder: Path, manifest: Manifest) -> pd.DataFrame:
    """How far centres have moved, from the centre log, by epoch and class size.

    Returns:
        ``epoch``, ``since`` (previous: the epoch before; first: the first epoch) and the columns of `by_class_size`.

    Raises:
        FileError: There is no centre log, or it is of another number of classes.
    """
    frame, sizes = read_centres(run_folder), class_sizes(manifest)
    parts = []
    for epoch, classes in frame.groupby("epoch"):
        if len(classes) != len(sizes):
            problem = f"the centre log of epoch {epoch} has {len(classes)} classes, the manifest {len(sizes)}"
            raise FileError(run_folder, f"{problem}: it is another run's manifest")
        for since in ("previous", "first"):
            summary = by_class_size(classes[f"angle_{since}"].to_numpy(), sizes)
            summary.insert(0, "epoch", epoch)
            summary.insert(1, "since", since)
            parts.append(summary)
    return pd.concat(parts, ignore_index=True)


def drift_from_clean_run(run: Run, clean: Run) -> pd.DataFrame:
    """How far each centre is from where training on clean labels puts it.

    Two trainings agree at best up to a rotation of the embedding space, so the run's centres are first brought onto the
    clean run's by the orthogonal matrix that leaves the least squared distance. That fits part of any difference away:
    little with many more classes than dimensions, nearly all with fewer.

    Args:
        run: The run in question.
        clean: A run of the same data set; classes that noise has split off are left out.

    Returns:
        By class: ``label``, ``images`` (labelled with it), ``noisy_share`` of them, ``angle``.

    Raises:
        UserError: The runs are of different data sets, or the other is not of clean labels.
        FileError: A run left no centres, or the two sets of centres differ in dimension.
    """
    if run.record.data.fingerprint != clean.record.data.fingerprint:
        raise UserError(f"{run.folder} and {clean.folder} were trained on different data sets")
    if sum(clean.record.noise_counts.get(kind, 0) for kind in ("closed", "open")) or clean.record.noise_per_batch:
        raise UserError(f"{clean.folder} was trained with noise '{clean.record.noise}': give a run of clean labels")
    moving, fixed = read_final_centres(run.folder), read_final_centres(clean.folder)
    if moving.shape[1] != fixed.shape[1]:
        problem = f"its centres have {fixed.shape[1]} dimensions, those of {run.folder} {moving.shape[1]}"
        raise FileError(clean.folder / CENTRES_FILE, problem)
    num_classes = min(len(moving), len(fixed))
    manifest = run.manifest()
    return per_class(aligned_angles(moving[:num_classes], fixed[:num_classes]), manifest)


def per_class(angle: NDArray[np.floating], manifest: Manifest) -> pd.DataFrame:
    """An angle of each class, [C], beside the number of images labelled with the class and the noisy share of them."""
    sizes = class_sizes(manifest)
    noisy = np.bincount(manifest.label[manifest.kind != CLEAN], minlength=len(sizes))
    share = np.divide(noisy, sizes, out=np.full(len(sizes), np.nan), where=sizes > 0)
    columns = {"images": sizes[: len(angle)], "noisy_share": share[: len(angle)], "angle": angle}
    return pd.DataFrame({"label": np.arange(len(angle), dtype=np.int32), **columns})


def read_final_centres(run_folder: Path) -> NDArray[np.floating]:
    """The centres at the end of a run, one a class, float16 or float32 [C, D]: of several, the dominant one.

    Raises:
        FileError: There are none, or the file holds something else.
    """
    centres = read_all_centres(run_folder)
    return centres if centres.ndim == 2 else centres[:, 0]


def read_all_centres(run_folder: Path) -> NDArray[np.floating]:
    """The centres at the end of a run, float16 or float32 [C, D], or [C, K, D] with K a class, mapped into memory.

    Raises:
        FileError: There are none, or the file holds something else.
    """
    path = run_folder / CENTRES_FILE
    if not path.is_file():
        raise FileError(path, "no class centres here", "runs leave them when they finish; run it anew")
    try:
        centres: NDArray[np.floating] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise FileError(path, f"no readable array: {' '.join(str(error).split())}") from error
    if centres.ndim not in (2, 3) or not centres.size or centres.dtype not in (np.float16, np.float32):
        problem = f"holds {centres.dtype} of shape {list(centres.shape)}: expected float16 or float32 [classes, size]"
        raise FileError(path, problem)
    return centres


def aligned_angles(moving: NDArray[np.floating], fixed: NDArray[np.floating]) -> NDArray[np.float32]:
    """Angles between the rows of two arrays [C, D], one first rotated or reflected onto the other.

    Both are normalised. Source of the alignment: Schönemann, "A generalized solution of the orthogonal Procrustes
    problem", Psychometrika 1966.
    """
    rotation = alignment(moving, fixed)
    parts = [angles(_unit(a @ rotation), b) for a, b in _blocks(moving, fixed)]
    return np.concatenate(parts)


def alignment(moving: NDArray[np.floating], fixed: NDArray[np.floating]) -> NDArray[np.float32]:
    """The orthogonal R [D, D] that makes |moving @ R - fixed| least, rows of both being normalised first."""
    product = np.zeros((moving.shape[1], fixed.shape[1]))
    for a, b in _blocks(moving, fixed):
        product += a.T @ b
    left, _, right = np.linalg.svd(product)
    return np.asarray(left @ right, np.float32)


def angles_between(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float32]:
    """Angles between the rows of two arrays [C, D], which need not be normalised; NaN where one has a NaN."""
    return np.concatenate([angles(left, right) for left, right in _blocks(a, b)])


def class_sizes(manifest: Manifest) -> NDArray[np.int64]:
    """The number of images labelled with each class, int64 [C]."""
    return np.bincount(manifest.label, minlength=manifest.num_train_classes)


def by_class_size(angle: NDArray[np.floating], sizes: NDArray[np.int64]) -> pd.DataFrame:
    """Angles of classes, [C], summed up by the number of images labelled with them.

    Returns:
        A row for all classes, then one for each group of sizes there is: ``images`` ("all", "1-4", ... "500+"),
        ``classes`` (their number) and ``mean``, ``median`` and ``p95`` of their angles. Classes of no angle are left
        out.
    """
    known = ~np.isnan(angle)
    groups = {"all": known}
    for first, end in zip(SIZE_EDGES, [*SIZE_EDGES[1:], None], strict=True):
        name = f"{first}+" if end is None else f"{first}-{end - 1}"
        groups[name] = known & (sizes >= first) & (True if end is None else sizes < end)
    rows = []
    for name, mask in groups.items():
        if mask.any():
            chosen = angle[mask].astype(np.float64)
            median, p95 = np.quantile(chosen, [0.5, 0.95])
            numbers = {"mean": chosen.mean(), "median": median, "p95": p95}
            rows.append({"images": name, "classes": int(mask.sum()), **numbers})
    return pd.DataFrame(rows, columns=["images", "classes", "mean", "median", "p95"])


def _blocks(
    a: NDArray[np.floating], b: NDArray[np.floating]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """The normalised rows of two arrays of equal length, a block of both at a time."""
    for start in range(0, len(a), CLASSES_AT_ONCE):
        yield _unit(a[start : start + CLASSES_AT_ONCE]), _unit(b[start : start + CLASSES_AT_ONCE])


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    rows = np.asarray(vectors, np.float32)
    unit: NDArray[np.float32] = rows / np.maximum(
        np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny
    )
    return unit
