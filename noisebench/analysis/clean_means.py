"""Where a class truly is: the mean embedding of its clean samples, to compare its centre with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from noisebench.analysis.drift import angles_between, per_class, read_final_centres
from noisebench.data.dataset import NoisyFaces
from noisebench.errors import FileError
from noisebench.noise.counter import bits
from noisebench.noise.manifest import Manifest
from noisebench.noise.schema import CLEAN

BATCH_SIZE = 256


class ClassMeans:
    """Adds up the normalised embeddings of each class.

    Args:
        num_classes: C.
        embedding_size: D.
    """

    def __init__(self, num_classes: int, embedding_size: int) -> None:
        self._sums = np.zeros((num_classes, embedding_size), np.float32)
        self._counts = np.zeros(num_classes, np.int64)

    def add(self, embeddings: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
        """Take in embeddings [B, D] of classes [B]."""
        norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
        np.add.at(self._sums, labels, embeddings / np.maximum(norms, np.finfo(np.float32).tiny))
        np.add.at(self._counts, labels, 1)

    def means(self) -> NDArray[np.float32]:
        """The mean of each class, [C, D]; NaN for a class of no embedding."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self._sums / self._counts[:, None], np.float32)


def drift_from_clean_means(
    run_folder: Path, faces: NoisyFaces, images_per_class: int, num_classes: int | None = None, threads: int = 1
) -> pd.DataFrame:
    """How far each centre is from the mean embedding of the class's truly clean samples, by the finished model.

    Args:
        run_folder: Has ``model.pt`` and ``centres.npy``.
        faces: The training set with the run's manifest. With noise by batch, all its samples are truly clean.
        images_per_class: At most so many clean samples of each class are embedded.
        num_classes: Of so many classes, drawn by hash of the manifest's seed; None for all.
        threads: Decoding threads.

    Returns:
        By class: ``label``, ``images`` (labelled with it), ``noisy_share`` of them, ``angle`` in radians; NaN for a
        class without a clean sample, and for one not drawn.

    Raises:
        FileError: The run left no model or no centres, or they do not fit the manifest.
    """
    centres, manifest = read_final_centres(run_folder), faces.manifest
    if len(centres) != manifest.num_train_classes:
        raise FileError(
            run_folder, f"left {len(centres)} centres, its manifest has {manifest.num_train_classes} classes"
        )
    means, rows, embed = (
        ClassMeans(*centres.shape),
        clean_rows(manifest, images_per_class, num_classes),
        embedder(run_folder),
    )
    for start in tqdm(range(0, len(rows), BATCH_SIZE), desc="embed clean samples", disable=None):
        batch = rows[start : start + BATCH_SIZE]
        means.add(embed(faces.images(batch, threads)), manifest.label[batch])
    return per_class(angles_between(centres, means.means()), manifest)


def clean_rows(manifest: Manifest, images_per_class: int, num_classes: int | None = None) -> NDArray[np.int64]:
    """Up to so many clean rows of each class or of so many classes, ascending; drawn by hash of the manifest's seed."""
    chosen = manifest.kind == CLEAN
    if num_classes is not None:
        order = bits(manifest.origin.seed, "classes of clean means", np.arange(manifest.num_train_classes))
        chosen &= np.isin(manifest.label, np.argsort(order, kind="stable")[:num_classes])
    rows = np.flatnonzero(chosen)
    rows = rows[np.lexsort((bits(manifest.origin.seed, "clean means", rows), manifest.label[rows]))]
    label = manifest.label[rows]
    first = np.flatnonzero(np.diff(label, prepend=-1))
    place = np.arange(len(rows)) - np.repeat(first, np.diff(first, append=len(rows)))
    return np.sort(rows[place < images_per_class])


def embedder(run_folder: Path) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """The finished model of a run: images [B, H, W, 3] to raw embeddings [B, D]."""
    import torch

    from noisebench.data.loader import to_network_input
    from noisebench.models import open_model

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backbone = open_model(run_folder).on_rgb().to(device).eval()

    @torch.inference_mode()
    def embed(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(backbone(to_network_input(torch.from_numpy(images), device)).float().cpu().numpy())

    return embed
