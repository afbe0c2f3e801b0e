"""What a row shows and whom: unaligned outliers, and the truth of noise that was made and of noise that was found."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets_tools.known_list import KnownList
from datasets_tools.known_noise import known_manifest
from datasets_tools.make_noise import make_manifest
from noisebench.data.dataset import UNKNOWN_IDENTITY, NoisyFaces
from noisebench.errors import FileError
from noisebench.formats.face_set import FaceSet, write_face_set
from noisebench.formats.jpeg import decode, encode
from noisebench.noise.recipe import NoiseRecipe
from noisebench.noise.schema import OPEN
from tests.tiny import SIZE, write_faces

SHAPES = [(SIZE, SIZE), (SIZE * 3, SIZE), (SIZE // 2, SIZE // 3), (100, 75)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base set, and "photos": outliers of four sizes, which are in ``SHAPES``."""
    folder = write_faces(tmp_path_factory.mktemp("dataset") / "faces")
    photos = []
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (*SHAPES[number % 4], 3), dtype=np.uint8)
        photos.append((encode(pixels), number // 4))
    write_face_set(folder / "photos", photos, 3, (SIZE, SIZE))
    return folder


def noisy(folder: Path, rendering: str) -> NoisyFaces:
    base, outliers = FaceSet.open(folder), FaceSet.open(folder / "photos")
    content = {"name": "fabricated", "open": {"rate": "0.3", "rendering": rendering}}
    recipe = NoiseRecipe.model_validate(content)
    return NoisyFaces(base, outliers, make_manifest(recipe, base, outliers, seed=0))


@pytest.mark.parametrize("threads", [1, 3])
def test_unaligned_outliers_are_resized_and_nothing_else(folder: Path, threads: int) -> None:
    faces = noisy(folder, "unaligned")
    assert faces.outliers is not None
    images = faces.images(np.arange(len(faces)), threads)
    seen = set()
    for row, image in enumerate(images):
        if faces.manifest.kind[row] == OPEN:
            photo = decode(faces.outliers.jpeg(int(faces.manifest.source_index[row])))
            seen.add(photo.shape[:2])
            np.testing.assert_array_equal(image, cv2.resize(photo, (SIZE, SIZE)))
        else:
            np.testing.assert_array_equal(image, faces.base.image(int(faces.manifest.source_index[row])))
    assert seen == set(SHAPES)


def test_resizing_keeps_what_is_left_and_right_and_the_mean(folder: Path) -> None:
    """Of an image twice as large, dark on the left: bilinear resizing by half is the mean of each two by two."""
    pixels = np.random.default_rng(0).integers(0, 256, (2 * SIZE, 2 * SIZE, 3)).astype(np.uint8)
    pixels[:, :SIZE] //= 4
    write_face_set(folder / "large", [(cv2.imencode(".png", pixels[..., ::-1])[1].tobytes(), 0)], 1, (SIZE, SIZE))
    out = np.empty((1, SIZE, SIZE, 3), dtype=np.uint8)
    FaceSet.open(folder / "large").read_images([1], out, resize=True)
    mean = pixels.reshape(SIZE, 2, SIZE, 2, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(out[0] - mean).max() <= 0.5


def test_aligned_outliers_of_another_size_are_refused_by_record(folder: Path) -> None:
    faces = noisy(folder, "aligned")
    with pytest.raises(FileError, match=rf"photos.*record \d+.*pixels; expected {SIZE}x{SIZE}"):
        faces.images(np.arange(len(faces)), threads=1)


def test_the_base_sets_own_images_are_never_resized(folder: Path, tmp_path: Path) -> None:
    small = [(encode(np.zeros((SIZE, SIZE, 3), np.uint8)), 0), (encode(np.zeros((SIZE, 9, 3), np.uint8)), 1)]
    write_face_set(tmp_path / "base", small, 2, (SIZE, SIZE))
    base, outliers = FaceSet.open(tmp_path / "base"), FaceSet.open(folder / "photos")
    recipe = NoiseRecipe.model_validate({"name": "fabricated", "open": {"rate": "0.5", "rendering": "unaligned"}})
    manifests = (make_manifest(recipe, base, outliers, seed) for seed in range(20))
    manifest = next(manifest for manifest in manifests if manifest.kind[0] == OPEN)
    with pytest.raises(FileError, match=f"base.*{SIZE}x9 pixels"):
        NoisyFaces(base, outliers, manifest).images(np.arange(2), threads=1)


def test_the_truth_of_noise_that_was_found_goes_by_kind(folder: Path, tmp_path: Path) -> None:
    base = FaceSet.open(folder)
    (tmp_path / "list.txt").write_text(f"{base.keys[0]} 3\n{base.keys[1]} noise\n")
    faces = NoisyFaces(base, None, known_manifest(KnownList.read(tmp_path / "list.txt"), base, "clean"))
    rows = np.arange(3)
    assert faces.true_labels(rows).tolist() == [3, UNKNOWN_IDENTITY, base.labels[2]]
    np.testing.assert_array_equal(faces.labels(rows), base.labels[:3])
    for row, image in enumerate(faces.images(rows, threads=1)):
        np.testing.assert_array_equal(image, base.image(int(base.keys[row])))
