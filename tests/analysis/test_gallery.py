"""Galleries and maps of embeddings: the right images of the right classes, and projections checked by eigenvectors."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from noisebench.analysis.embedded_classes import connected_labels, embed_classes, principal_plane
from noisebench.analysis.figures import embedding_map, gallery_figure
from noisebench.analysis.gallery import SIDE, Gallery, galleries
from noisebench.bench.store import Run
from noisebench.data.dataset import NoisyFaces
from noisebench.formats import jpeg
from noisebench.formats.face_set import FaceSet
from noisebench.noise.manifest import Manifest
from noisebench.noise.schema import CLEAN, CLOSED
from tests.analysis.made_up import made_up_run
from tests.analysis.runs import manifest
from tests.tiny import IDENTITIES, write_faces


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> FaceSet:
    return FaceSet.open(write_faces(tmp_path_factory.mktemp("faces")))


@pytest.fixture(scope="module")
def shown(faces: FaceSet) -> tuple[NoisyFaces, Manifest]:
    """Every third image bears the label of the next identity; all images are read from the set."""
    kinds = [CLOSED if place % 3 == 2 else CLEAN for place in range(len(faces.keys))]
    made = manifest(kinds, IDENTITIES)
    label = np.where(made.kind == CLOSED, (faces.labels + 1) % IDENTITIES, faces.labels).astype(np.int32)
    origin = made.origin.model_copy(
        update={"fingerprints": made.origin.fingerprints.model_copy(update={"base": faces.fingerprint})}
    )
    made = Manifest(faces.keys, faces.labels, label, made.kind, made.source, faces.keys, faces.labels, origin)
    return NoisyFaces(faces, None, made), made


def test_the_plane_is_that_of_the_largest_eigenvalues() -> None:
    vectors = np.random.Generator(np.random.Philox(0)).standard_normal((50, 5)) * [3, 1, 2, 0.5, 0.1]
    coordinates, share = principal_plane(vectors)
    values, axes = np.linalg.eigh(np.cov(vectors.T))
    np.testing.assert_allclose(share, values[::-1][:2] / values.sum())
    for place in (0, 1):
        expected = (vectors - vectors.mean(axis=0)) @ axes[:, -1 - place]
        sign = np.sign(expected[np.abs(expected).argmax()])
        np.testing.assert_allclose(coordinates[:, place], sign * expected, atol=1e-9)


@pytest.mark.parametrize("num_vectors", [1, 2])
def test_few_vectors_have_a_plane_too(num_vectors: int) -> None:
    coordinates, share = principal_plane(np.eye(3)[:num_vectors])
    assert coordinates.shape == (num_vectors, 2)
    assert np.isfinite(coordinates).all()
    assert share[1] == pytest.approx(0)


def test_labels_are_chosen_that_exchange_images() -> None:
    made = manifest([CLEAN] * 60, 20)  # three images each
    label, kind = made.label.copy(), made.kind.copy()
    for row, given in ((7, 3), (27, 3), (3, 7), (12, 7)):
        label[row], kind[row] = given, CLOSED
    made = Manifest(
        made.index, made.true_label, label, kind, made.source, made.source_index, made.source_label, made.origin
    )
    assert connected_labels(made, 2) == (3, 7)
    assert connected_labels(made, 3) == (3, 7, 12)
    assert len(connected_labels(made, 50)) == 20


def test_a_gallery_shows_each_sample_beside_its_classes(
    shown: tuple[NoisyFaces, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy, made = shown
    run = _run_of(tmp_path, made, monkeypatch)
    found = {gallery.name: gallery for gallery in galleries(run, noisy, num_rows=4)}
    assert set(found) <= {"mislabelled", "falsely-corrected", "memorised", "hardest"}
    assert {row.kind for row in found["mislabelled"].rows} == {"closed"}
    assert {row.kind for row in found["hardest"].rows} == {"clean"}
    for row in found["mislabelled"].rows:
        place = int(np.flatnonzero(made.index == int(row.caption.split()[1]))[0])
        given, _, truth = row.groups
        assert given.caption.startswith(f"class {made.label[place]},")
        assert truth.caption.startswith(f"class {made.true_label[place]},")
        assert _is_like(row.image, noisy.base.image(int(made.source_index[place])))
        for group, label in ((given, made.label[place]), (truth, made.true_label[place])):
            clean = np.flatnonzero((made.label == label) & (made.kind == CLEAN))
            originals = [noisy.base.image(int(key)) for key in made.source_index[clean]]
            assert len(group.images) == 2
            assert all(any(_is_like(image, original) for original in originals) for image in group.images)


def test_a_gallery_is_drawn_with_every_image(
    shown: tuple[NoisyFaces, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy, made = shown
    gallery = galleries(_run_of(tmp_path, made, monkeypatch), noisy, num_rows=2)[0]
    figure = gallery_figure(gallery)
    number = sum(1 + sum(len(group.images) for group in row.groups) for row in gallery.rows)
    assert len(figure.axes) == number
    with pytest.raises(Exception, match="no such sample"):
        gallery_figure(Gallery("empty", "Nothing", ()))


def test_images_of_some_labels_are_embedded(
    shown: tuple[NoisyFaces, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy, made = shown
    run = _run_of(tmp_path, made, monkeypatch)

    def means_of_colour(folder: Path) -> object:
        return lambda images: images.reshape(len(images), -1, 3).mean(axis=1).astype(np.float32)

    monkeypatch.setattr("noisebench.analysis.embedded_classes.embedder", means_of_colour)
    embedded = embed_classes(run, noisy, num_labels=3, images_per_label=4)
    assert len(embedded.vectors) == 12
    assert sorted(set(embedded.label.tolist())) == list(embedded.labels)
    np.testing.assert_allclose(np.linalg.norm(embedded.vectors, axis=1), 1, rtol=1e-6)
    figure = embedding_map(embedded)
    drawn = [len(np.asarray(collection.get_offsets())) for collection in figure.axes[0].collections]
    assert drawn == [int((embedded.kind == kind).sum()) for kind in range(3)]


def _run_of(folder: Path, made: Manifest, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A made-up run whose manifest is this one."""
    monkeypatch.setattr("tests.analysis.made_up.NUM_CLASSES", IDENTITIES)
    monkeypatch.setattr("tests.analysis.made_up.manifest", lambda *_: made)
    return made_up_run(folder)


def _is_like(encoded: bytes, original: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bool:
    """Whether an image is another one, but for size and compression."""
    image = jpeg.decode(encoded)
    assert max(image.shape[:2]) <= SIDE
    resized = cv2.resize(original, image.shape[1::-1], interpolation=cv2.INTER_AREA)
    return float(np.abs(image.astype(float) - resized).mean()) < 6
