"""The synthetic data set of a suite: made once, then found again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from datasets_tools.synthetic import make_faces
from noisebench.bench.suite import EmbeddedFaces

DATA_FOLDER = Path("data")


def embedded_faces(faces: EmbeddedFaces, say: Callable[[str], None]) -> Path:
    """The folder of the synthetic faces, made now if it is not there yet; ``say`` is told so."""
    folder = DATA_FOLDER / f"faces-{faces.identities}x{faces.images}-seed{faces.seed}"
    if not folder.is_dir():
        say(f"making the suite's synthetic faces, once: {folder}")
        make_faces(folder, identities=faces.identities, images=faces.images, seed=faces.seed)
    return folder
