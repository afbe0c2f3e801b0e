"""Which samples are listed, in which order, under which fault: by brute force over a made-up log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from noisebench.analysis.run_log import EpochSamples, RunLog
from noisebench.analysis.sample_ranking import FAULTS, faults_of, rank_samples, ranking_text, write_images
from noisebench.bench.store import Run, manifest_path
from noisebench.errors import FileError, UserError
from noisebench.formats.face_set import FaceSet
from noisebench.noise.manifest import KINDS, Manifest
from tests.analysis.runs import log_epoch, manifest, record
from tests.tiny import write_faces

# By row: kind, used label (None: the one given), angles to the label and to the nearest other class in degrees.
ROWS: list[tuple[str, int | str | None, int, int, str]] = [
    ("clean", None, 20, 80, ""),
    ("clean", None, 70, 50, "missed"),
    ("clean", 5, 75, 40, "corrected"),
    ("closed", None, 30, 60, "fitted"),
    ("closed", None, 80, 30, ""),
    ("closed", "true", 85, 25, ""),
    ("closed", 0, 60, 55, "corrected"),
    ("open", None, 40, 41, "fitted"),
    ("open", None, 66, 60, ""),
    ("open", 3, 60, 45, "corrected"),
]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    truth = manifest([KINDS.index(kind) for kind, *_ in ROWS])
    used = [
        int(truth.label[row]) if label is None else int(truth.true_label[row]) if label == "true" else int(label)
        for row, (_, label, *_) in enumerate(ROWS)
    ]
    to_label, to_nearest = (
        np.cos(np.radians(degrees)) for degrees in zip(*((row[2], row[3]) for row in ROWS), strict=True)
    )
    return make_run(tmp_path, truth, np.array(used), to_label, to_nearest)


def make_run(results: Path, truth: Manifest, used: np.ndarray, to_label: np.ndarray, to_nearest: np.ndarray) -> Run:
    counts = dict(zip(KINDS, np.bincount(truth.kind, minlength=3).tolist(), strict=True))
    made = record(manifest_checksum=truth.checksum, noise_counts=counts, history=[])
    data = made.data.model_copy(update={"num_images": len(truth)})
    found = Run(results / "runs" / "synth" / "closed30" / "arcface" / "seed0-0", made.model_copy(update={"data": data}))
    truth.write(manifest_path(found.folder.parents[1], truth.checksum, None))
    to_true = np.select(
        [truth.kind == KINDS.index("clean"), truth.kind == KINDS.index("open")], [to_label, np.nan], 0.1
    )
    for epoch in (0, 1):
        log_epoch(
            found.folder,
            epoch,
            np.arange(len(truth)),
            cosine_label=to_label if epoch else np.ones(len(truth)),
            cosine_true=to_true if epoch else np.where(np.isnan(to_true), np.nan, 1.0),
            cosine_nearest=to_nearest if epoch else np.zeros(len(truth)),
            nearest=np.full(len(truth), 9),
            used_label=used,
        )
    return found


def test_faults(run: Run) -> None:
    samples = RunLog.of_run(run).epoch(1)
    assert [(*FAULTS, "")[code] for code in faults_of(samples)] == [fault for *_, fault in ROWS]


def test_faults_by_their_definition() -> None:
    random = np.random.default_rng(0)
    size = 3000
    kind = random.integers(0, 3, size).astype(np.int8)
    true, other = random.integers(0, 3, size), random.integers(1, 3, size)
    label = np.where(kind == 1, (true + other) % 3, true)
    samples = EpochSamples(
        epoch=0,
        row=np.arange(size),
        angle_label=random.integers(0, 3, size).astype(np.float32),
        angle_true=np.zeros(size, np.float32),
        angle_nearest=random.integers(0, 3, size).astype(np.float32),
        nearest=np.zeros(size, np.int32),
        norm=np.ones(size, np.float32),
        used_label=random.integers(0, 3, size).astype(np.int32),
        kind=kind,
        label=label.astype(np.int32),
        true_label=true.astype(np.int32),
    )
    for place, code in enumerate(faults_of(samples)):
        is_right = kind[place] != 2 and samples.used_label[place] == true[place]
        if samples.used_label[place] != label[place]:
            expected = "" if is_right else "corrected"
        elif kind[place] == 0:
            expected = "missed" if samples.angle_nearest[place] < samples.angle_label[place] else ""
        else:
            expected = "" if samples.angle_nearest[place] < samples.angle_label[place] else "fitted"
        assert (*FAULTS, "")[code] == expected


def test_the_hardest_come_first(run: Run) -> None:
    ranked = rank_samples(run, top=4)
    gaps = [to_label - to_nearest for _, _, to_label, to_nearest, _ in ROWS]
    assert ranked["row"].tolist() == sorted(range(len(ROWS)), key=lambda row: -gaps[row])[:4]
    assert ranked["epoch"].tolist() == [1] * 4
    np.testing.assert_allclose(np.degrees(ranked["angle_label"].iloc[0]), 85, atol=0.02)
    assert rank_samples(run, epoch=0)["epoch"].tolist() == [0] * len(ROWS)


def test_of_the_wrong_the_clearest_come_first(run: Run) -> None:
    distance = [abs(to_label - to_nearest) for _, _, to_label, to_nearest, _ in ROWS]
    expected = sorted((row for row, made in enumerate(ROWS) if made[4]), key=lambda row: -distance[row])
    ranked = rank_samples(run, wrong=True)
    assert ranked["row"].tolist() == expected
    assert ranked["fault"].tolist() == [ROWS[row][4] for row in expected]
    assert rank_samples(run, wrong=True, kind="open")["row"].tolist() == [9, 7]
    assert rank_samples(run, fault="fitted")["row"].tolist() == [3, 7]
    assert rank_samples(run, kind="clean", fault="fitted").empty


def test_the_text_names_strangers_and_leaves_out_angles_to_them(run: Run) -> None:
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in ranking_text(rank_samples(run)).splitlines()]
    by_index = {int(line[0]): line for line in lines[2:]}
    assert by_index[9][1:] == ["open", "9", "nobody", "3", "9", "60.0°", "–", "45.0°", "1.0", "corrected"]
    assert by_index[1][3] == "1"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"kind": "close"}, "--kind 'close' is unknown: did you mean 'closed'"),
        ({"fault": "fited"}, "--fault 'fited' is unknown: did you mean 'fitted'"),
    ],
)
def test_unknown_names(run: Run, options: dict[str, str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        rank_samples(run, kind=options.get("kind"), fault=options.get("fault"))


def test_an_epoch_that_is_not_there(run: Run) -> None:
    with pytest.raises(FileError, match="no sample log of epoch 7"):
        rank_samples(run, epoch=7)


def test_images_are_copied_as_they_are(tmp_path: Path) -> None:
    faces = FaceSet.open(write_faces(tmp_path / "faces"))
    num_rows = len(faces.keys)
    plain = manifest([0] * num_rows, faces.num_classes)
    fingerprints = plain.origin.fingerprints.model_copy(update={"base": faces.fingerprint})
    truth = replace(
        plain,
        index=faces.keys,
        source_index=faces.keys,
        true_label=faces.labels,
        label=faces.labels,
        source_label=faces.labels,
        origin=plain.origin.model_copy(update={"fingerprints": fingerprints, "num_classes": faces.num_classes}),
    )
    spread = np.cos(np.linspace(0.2, 1.4, num_rows))
    run = make_run(tmp_path, truth, truth.label, spread, np.full(num_rows, np.cos(0.8)))
    ranked = rank_samples(run, top=3)
    write_images(run, ranked, tmp_path / "out", data=tmp_path / "faces")
    files = sorted((tmp_path / "out").iterdir())
    keys = faces.keys[::-1][:3].tolist()  # the last rows are furthest from their labels
    labels = faces.labels[::-1][:3].tolist()
    assert [file.stem for file in files] == [
        f"{place:04d}-index{key}-clean-label{label}-true{label}-missed"
        for place, (key, label) in enumerate(zip(keys, labels, strict=True))
    ]
    assert [file.read_bytes() for file in files] == [bytes(faces.jpeg(key)) for key in keys]
    with pytest.raises(FileError, match="already exists"):
        write_images(run, ranked, tmp_path / "out", data=tmp_path / "faces")
    with pytest.raises(FileError, match="does not say where the training set lies"):
        write_images(run, ranked, tmp_path / "new")
    other = write_faces(tmp_path / "other", seed=1)
    with pytest.raises(UserError):
        write_images(run, ranked, tmp_path / "new", data=other)
    assert not (tmp_path / "new").exists()
