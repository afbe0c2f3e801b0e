"""Embeddings of the images that bear one of a few labels, by a finished model, and the plane they vary in most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisebench.analysis.clean_means import BATCH_SIZE, embedder
from noisebench.bench.store import Run
from noisebench.data.dataset import NoisyFaces
from noisebench.noise.counter import bits
from noisebench.noise.manifest import Manifest
from noisebench.noise.schema import CLOSED


@dataclass(frozen=True, eq=False)
class EmbeddedClasses:
    """Images of a few labels, arrays [N] and [N, D].

    Attributes:
        vectors: Unit embeddings, float32 [N, D].
        label: The label given.
        true_label: The true class; for an open-set sample, that of the image it stands in for.
        kind: Codes into ``KINDS``.
        labels: Those shown.
    """

    vectors: NDArray[np.float32]
    label: NDArray[np.int32]
    true_label: NDArray[np.int32]
    kind: NDArray[np.int8]
    labels: tuple[int, ...]


def embed_classes(run: Run, faces: NoisyFaces, num_labels: int = 6, images_per_label: int = 40) -> EmbeddedClasses:
    """Embed images of a few labels that noise connects, with the finished model of a run.

    Args:
        run: Has ``model.pt``.
        faces: What it was trained on.
        num_labels: How many labels to show.
        images_per_label: At most so many images of each; which ones is drawn by hash of the manifest's seed.

    Raises:
        FileError: There is no model, or an image cannot be read.
    """
    manifest = faces.manifest
    labels = connected_labels(manifest, num_labels)
    parts = []
    for label in labels:
        rows = np.flatnonzero(manifest.label == label)
        order = np.argsort(bits(manifest.origin.seed, "embedding map", rows), kind="stable")
        parts.append(np.sort(rows[order[:images_per_label]]))
    rows, embed = np.concatenate(parts), embedder(run.folder)
    batches = [rows[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE)]
    vectors = np.concatenate([embed(faces.images(batch, 1)) for batch in batches])
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    columns = (manifest.label[rows], manifest.true_label[rows], manifest.kind[rows])
    return EmbeddedClasses(np.asarray(unit, np.float32), *columns, labels)


def connected_labels(manifest: Manifest, number: int) -> tuple[int, ...]:
    """Labels with as much closed-set noise among themselves as a greedy choice finds, ascending.

    The first is the label with most images; each next one exchanges most images with those before, of equal ones that
    with most images.
    """
    sizes = np.bincount(manifest.label, minlength=manifest.num_train_classes)
    is_closed = manifest.kind == CLOSED
    given, true = manifest.label[is_closed], manifest.true_label[is_closed]
    chosen = [int(sizes.argmax())]
    while len(chosen) < min(number, int((sizes > 0).sum())):
        exchanged = np.bincount(given[np.isin(true, chosen)], minlength=len(sizes))
        exchanged = exchanged + np.bincount(true[np.isin(given, chosen)], minlength=len(sizes))[: len(sizes)]
        rank = exchanged.astype(np.float64) + sizes / (sizes.max() + 1)
        rank[(sizes == 0) | np.isin(np.arange(len(sizes)), chosen)] = -1
        chosen.append(int(rank.argmax()))
    return tuple(sorted(chosen))


def principal_plane(vectors: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates [N, 2] of vectors [N, D] on their two principal axes, and the share of the variance of each axis.

    An axis points to where the coordinate farthest from the mean is.
    """
    centred = np.asarray(vectors, np.float64) - np.mean(vectors, axis=0, dtype=np.float64)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    coordinates = np.zeros((len(centred), 2))
    found = min(2, len(sizes))
    coordinates[:, :found] = (left * sizes)[:, :found]
    farthest = coordinates[np.abs(coordinates).argmax(axis=0), [0, 1]]
    share = np.zeros(2)
    share[:found] = sizes[:found] ** 2 / max(float((sizes**2).sum()), np.finfo(np.float64).tiny)
    return coordinates * np.where(farthest < 0, -1, 1), share
