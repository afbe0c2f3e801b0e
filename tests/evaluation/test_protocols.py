"""Every protocol end to end on a small copy of its test set, against a slow transcription that reads the same files."""

from __future__ import annotations

import json
import math
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from datasets_tools.test_sets import kinds, make_test_set
from noisebench.errors import UserError
from noisebench.evaluation import result as results
from noisebench.evaluation.alignment import TEMPLATE, similarity_transform
from noisebench.evaluation.embed import Embedder
from noisebench.evaluation.protocols import names
from noisebench.evaluation.result import Preprocessing
from noisebench.evaluation.test_set import evaluate_test_set, identity, parse
from noisebench.evaluation.verification import verify
from noisebench.formats import feature_bin, jpeg

SIZE = (32, 32)
Vector = NDArray[np.float64]


class Mosaic(nn.Module):
    """An image as 4 x 4 fields, less their mean: 48 numbers."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        fields = nn.functional.adaptive_avg_pool2d(images, 4)
        return (fields - fields.mean((2, 3), keepdim=True)).flatten(1)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a test set of each kind, by its name."""
    folder = tmp_path_factory.mktemp("sets")
    for kind in kinds():
        make_test_set(kind, folder / kind, people=4, images=6, image_size=32)
    return folder


def evaluated(spec: str, protocol: str | None = None) -> results.TestMetrics:
    return evaluate_test_set(Mosaic(), parse(spec, protocol), image_size=SIZE, batch_size=7)


def raw(image: NDArray[np.uint8], flip: bool = True) -> Vector:
    """The sum of the raw outputs for an image and its mirror image, one image at a time."""
    views = [image, image[:, ::-1]] if flip else [image]
    embedder = Embedder(Mosaic(), preprocessing=Preprocessing(image_size=SIZE))
    return np.asarray(np.sum([embedder.embed([view], "none")[0] for view in views], axis=0, dtype=np.float64))


def unit(vector: Vector) -> Vector:
    return np.asarray(vector / np.linalg.norm(vector))


def file(path: Path, flip: bool = True) -> Vector:
    return raw(jpeg.decode(path.read_bytes()), flip)


def slow_ijb_templates(folder: Path, n: bool, d: bool) -> dict[int, Vector]:
    """Align by least squares over a, b, x and y, then pool by dictionaries."""
    media: dict[int, dict[str, list[Vector]]] = defaultdict(lambda: defaultdict(list))
    faces, tids = ((folder / f"meta/ijbc_{name}.txt").read_text() for name in ("name_5pts_score", "face_tid_mid"))
    for line, other in zip(faces.splitlines(), tids.splitlines(), strict=True):
        name, *numbers = line.split()
        points = np.array(numbers[:10], float).reshape(5, 2)
        rows = [row for x, y in points for row in ([x, -y, 1, 0], [y, x, 0, 1])]
        a, b, x, y = np.linalg.lstsq(np.array(rows), TEMPLATE.ravel(), rcond=None)[0]
        image = jpeg.decode((folder / "loose_crop" / name).read_bytes())
        face = cv2.warpAffine(image, np.array([[a, -b, x], [b, a, y]]), (112, 112), borderValue=0.0)
        feature = raw(np.asarray(face, np.uint8))
        feature = (feature if n else unit(feature)) * (float(numbers[10]) if d else 1)
        _, template, medium = other.split()
        media[int(template)][medium].append(feature)
    return {t: unit(np.sum([np.mean(frames, axis=0) for frames in m.values()], axis=0)) for t, m in media.items()}


def subjects(path: Path) -> dict[int, int]:
    return dict(map(int, line.split(",")) for line in path.read_text().splitlines()[1:])  # type: ignore[misc] # pairs


@pytest.mark.parametrize("flags", ["N1D1F2", "N0D0F2"])
def test_ijb_equals_brute_force(sets: Path, flags: str) -> None:
    result = evaluated(f"{sets / 'ijb'}@ijb:flags={flags}")
    templates = slow_ijb_templates(sets / "ijb", flags[1] == "1", flags[3] == "1")
    meta = sets / "ijb" / "meta"
    pairs = [list(map(int, line.split())) for line in (meta / "ijbc_template_pair_label.txt").read_text().splitlines()]
    genuine = [float(templates[one] @ templates[two]) for one, two, same in pairs if same]
    impostor = [float(templates[one] @ templates[two]) for one, two, same in pairs if not same]
    wins = sum((g > i) + 0.5 * (g == i) for g in genuine for i in impostor)
    assert result.auc == pytest.approx(wins / len(genuine) / len(impostor), abs=1e-12)
    assert result.num_pairs == len(pairs)
    assert result.counts["templates"] == len(templates) == 12
    assert result.tar_at_far["1e-6"] == sum(score > max(impostor) for score in genuine) / len(genuine)

    galleries = [subjects(meta / f"ijbc_1N_gallery_G{number}.csv") for number in (1, 2)]
    probes = subjects(meta / "ijbc_1N_probe_mixed.csv")
    first = recalled = 0
    scores = {(p, g): float(templates[p] @ templates[g]) for p in probes for g in galleries[0] | galleries[1]}
    who = galleries[0] | galleries[1]
    others = sorted((score for (p, g), score in scores.items() if probes[p] != who[g]), reverse=True)
    for probe, subject in probes.items():
        (mate,) = (g for g in who if who[g] == subject)
        first += all(scores[probe, g] < scores[probe, mate] for g in who if g != mate)
        recalled += scores[probe, mate] > others[math.ceil(len(probes) * 0.1) - 1]
    assert result.identification["rank-1"] == first / len(probes)
    assert result.identification["TPIR@FPIR=0.1 (joint gallery)"] == recalled / len(probes)


def test_alignment_brings_synthetic_faces_back(sets: Path) -> None:
    line = (sets / "ijb/meta/ijbc_name_5pts_score.txt").read_text().splitlines()[0].split()
    matrix = similarity_transform(np.array(line[1:11], float).reshape(5, 2))
    points = np.column_stack((np.array(line[1:11], float).reshape(5, 2), np.ones(5)))
    np.testing.assert_allclose(points @ matrix.T, TEMPLATE, atol=1e-3)


@pytest.mark.parametrize("noises", ["kept", "removed", "zeroed"])
def test_megaface_equals_brute_force(sets: Path, noises: str) -> None:
    folder = sets / "megaface"
    result = evaluated(f"{folder}@megaface:noises={noises}")
    wrong_probe, wrong = "Person_0_1", {"0/0/0_0", "1/1/1_0"}
    probes = {path.stem: unit(file(path)) for path in (folder / "facescrub").rglob("*.jpg")}
    others = {
        str(path.relative_to(folder / "megaface"))[:-4]: unit(file(path)) for path in folder.glob("megaface/*/*/*")
    }
    if noises != "kept":
        clean = [vector for name, vector in probes.items() if name.startswith("Person_0_") and name != wrong_probe]
        probes[wrong_probe] = unit(np.sum(clean, axis=0))
        others = {k: v * (k not in wrong) for k, v in others.items() if noises == "zeroed" or k not in wrong}
    for rank in (1, 3):
        tried = found = 0
        for i, one in probes.items():
            for k, other in probes.items():
                if i != k and i[:8] == k[:8]:
                    tried += 1
                    found += sum(float(other @ vector) > float(one @ other) for vector in others.values()) < rank
        assert result.identification[f"rank-{rank}"] == found / tried
    assert result.counts["distractors"] == len(others)


def test_megaface_on_feature_files_equals_megaface_on_images(sets: Path, tmp_path: Path) -> None:
    shutil.copytree(sets / "megaface", tmp_path / "features", ignore=shutil.ignore_patterns("*.jpg"))
    for path in (sets / "megaface").rglob("*.jpg"):
        target = tmp_path / "features" / path.relative_to(sets / "megaface")
        feature_bin.write(target.with_name(target.name + "_mosaic.bin"), unit(file(path)))
    of_files = evaluate_test_set(None, parse(f"{tmp_path / 'features'}@megaface:features=_mosaic.bin"))
    assert of_files.identification == evaluated(str(sets / "megaface")).identification
    assert of_files.provenance is not None
    assert of_files.provenance.preprocessing is None
    marked = tmp_path / "features/megaface/0/0/0_0.jpg_mosaic.bin"
    vector = feature_bin.read(marked)
    feature_bin.write(marked, np.append(vector[:-1], 100.0))
    fewer = evaluate_test_set(None, parse(f"{tmp_path / 'features'}@megaface:features=_mosaic.bin"))
    assert fewer.counts["distractors"] == of_files.counts["distractors"] - 1
    feature_bin.write(marked, vector[:-1])
    with pytest.raises(UserError, match="48 components, files before it have 47"):
        evaluate_test_set(None, parse(f"{tmp_path / 'features'}@megaface:features=_mosaic.bin"))


def test_tinyface_equals_brute_force(sets: Path) -> None:
    result = evaluated(str(sets / "tinyface"))
    folder = sets / "tinyface" / "Testing_Set"
    parts = {part.name: {path.name: unit(file(path)) for path in part.iterdir()} for part in folder.iterdir()}
    for rank in (1, 5, 20):
        found = 0
        for name, probe in parts["Probe"].items():
            mates = [
                float(probe @ v) for k, v in parts["Gallery_Match"].items() if k.split("_")[0] == name.split("_")[0]
            ]
            others = [
                float(probe @ v) for k, v in parts["Gallery_Match"].items() if k.split("_")[0] != name.split("_")[0]
            ]
            others += [float(probe @ v) for v in parts["Gallery_Distractor"].values()]
            found += sum(score >= max(mates) for score in others) < rank
        assert result.identification[f"rank-{rank}"] == found / len(parts["Probe"])


def test_ijbs_equals_brute_force(sets: Path) -> None:
    folder = sets / "ijbs"
    result = evaluated(str(folder))
    for protocol in ("surveillance-to-booking", "uav-to-booking"):
        vectors: dict[str, dict[int, Vector]] = {}
        who: dict[str, dict[int, int]] = {}
        for part in ("probe", "gallery_1", "gallery_2"):
            images = defaultdict(list)
            for line in (folder / "protocols" / protocol / f"{part}.csv").read_text().splitlines()[1:]:
                template, subject, name = line.split(",")
                who.setdefault(part, {})[int(template)] = int(subject)
                if name != "0/2.jpg":
                    images[int(template)].append(file(folder / "images" / name, flip=False))
            vectors[part] = {template: unit(np.mean(found, axis=0)) for template, found in images.items()}
        identified = []
        for gallery in ("gallery_1", "gallery_2"):
            unmated, mated = [], []
            for probe, person in who["probe"].items():
                scores = {who[gallery][g]: float(vectors["probe"][probe] @ v) for g, v in vectors[gallery].items()}
                if person in scores:
                    mated.append((scores[person], scores[person] == max(scores.values())))
                else:
                    unmated.append(max(scores.values()))
            identified.append(np.mean([first and score > max(unmated) for score, first in mated]))
        assert result.identification[f"{protocol} TPIR@FPIR=0.01"] == np.mean(identified)


def test_a_list_of_pairs_gives_what_its_images_give(sets: Path) -> None:
    result = evaluated(str(sets / "pairs"))
    lines = [line.split("\t") for line in (sets / "pairs/pairs.txt").read_text().splitlines()[1:]]
    sides = [(f[0], f[1], f[0] if len(f) == 3 else f[2], f[-1]) for f in lines]
    a, b = (np.stack([file(sets / "pairs" / s[i] / f"{s[i]}_{int(s[i + 1]):04d}.jpg") for s in sides]) for i in (0, 2))
    expected = verify(a, b, [len(fields) == 3 for fields in lines])
    assert (result.accuracy, result.auc, result.eer) == (expected.accuracy, expected.auc, expected.eer)
    assert evaluated(str(sets / "pairs" / "pairs.txt")).sha256 == result.sha256
    assert evaluated(f"{sets / 'pairs'}@boundaryface").accuracy != result.accuracy


def test_every_result_says_how_it_was_come_by(sets: Path) -> None:
    blurred = evaluated(f"{sets / 'pairs'}@gauss:sigma=1.5")
    assert blurred.provenance is not None
    assert blurred.provenance.preprocessing == Preprocessing(image_size=SIZE, gauss_sigma=1.5)
    assert blurred.mean_norm != evaluated(str(sets / "pairs")).mean_norm
    for kind in kinds():
        result = evaluated(str(sets / kind))
        assert result.provenance is not None
        assert result.provenance.protocol == ("lfw" if kind == "pairs" else kind)
        assert len(result.sha256) == 64
        assert json.loads(result.model_dump_json())["provenance"]["flip"]


def test_a_changed_image_is_another_test_set(sets: Path, tmp_path: Path) -> None:
    for kind, change in (("tinyface", "Testing_Set/Probe/1_1.jpg"), ("ijbs", "images/1/1.jpg"), ("pairs", "pairs.txt")):
        shutil.copytree(sets / kind, tmp_path / kind)
        with (tmp_path / kind / change).open("ab") as stream:
            stream.write(b"\n")
        assert evaluated(str(tmp_path / kind)).sha256 != evaluated(str(sets / kind)).sha256


Damage = Callable[[Path], object]


def replaced(name: str, old: str, new: str) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return damage


def bomb(folder: Path, name: str) -> None:
    encoded = bytearray((folder / name).read_bytes())
    place = encoded.index(b"\xff\xc0\x00\x11") + 5
    encoded[place : place + 4] = (60_000).to_bytes(2, "big") * 2
    (folder / name).write_bytes(encoded)


@pytest.mark.parametrize(
    ("kind", "damage", "message"),
    [
        ("pairs", replaced("pairs.txt", "Person_0\t1\t2", "../Person_0\t1\t2"), "leads out of the folder"),
        ("pairs", replaced("pairs.txt", "Person_0\t1\t2", "/etc/passwd /etc/passwd 1"), "leads out of the folder"),
        ("pairs", replaced("pairs.txt", "Person_0\t1\t2", "Person_0\t1"), "line 2: expected 'name n1 n2'"),
        ("pairs", lambda f: (f / "Person_0/Person_0_0001.jpg").unlink(), "Person_0_0001.jpg: cannot be read"),
        ("pairs", lambda f: (f / "Person_0/Person_0_0001.jpg").write_bytes(b"x"), "image 0: neither JPEG nor PNG"),
        ("pairs", lambda f: bomb(f, "Person_0/Person_0_0002.jpg"), "image 1: 60000x60000 pixels"),
        ("pairs", lambda f: (f / "pairs.txt").write_text("1\t1\nPerson_0\t1\t2\n"), "1 pairs are too few for 10 folds"),
        ("pairs", lambda f: (f / "pairs.txt").write_text("\n"), "lists no pairs"),
        ("pairs", lambda f: (f / "pairs.txt").write_bytes(b"\xff\xfe"), "pairs.txt: cannot be read"),
        ("ijb", replaced("meta/ijbc_face_tid_mid.txt", "1.jpg 1000", "9.jpg 1000"), "image 1 is '9.jpg'"),
        ("ijb", replaced("meta/ijbc_face_tid_mid.txt", "1.jpg 1000", "1.jpg x"), "line 1 is '1.jpg x"),
        ("ijb", replaced("meta/ijbc_template_pair_label.txt", "1000 1001 1", "1000 77 1"), "template 77 has no image"),
        ("ijb", replaced("meta/ijbc_template_pair_label.txt", "1000 1001 1", "1000 1001 2"), "pair 1 has label 2"),
        ("ijb", lambda f: (f / "meta/ijbc_template_pair_label.txt").write_text("1000 1001 1\n"), "both kinds"),
        ("ijb", replaced("meta/ijbc_name_5pts_score.txt", "1.jpg ", "1.jpg nan "), "line 1 is .*expected a name, ten"),
        ("ijb", replaced("meta/ijbc_1N_probe_mixed.csv", "1001,100", "1001,55"), "subject 55 of a probe is 0 times"),
        ("ijb", lambda f: bomb(f, "loose_crop/3.jpg"), "image 2: 60000x60000 pixels"),
        ("ijb", lambda f: (f / "meta/ijbc_name_5pts_score.txt").unlink(), "holds 0 lists ending in '_name_5pts_score"),
        ("megaface", replaced("megaface_list.json", "0/0/0_0.jpg", "../../x.jpg"), "leads out of the folder"),
        ("megaface", replaced("megaface_list.json", "0/0/0_0.jpg", "0/0/none.jpg"), "none.jpg: cannot be read"),
        ("megaface", replaced("megaface_list.json", '"id"', '"ids"'), "expected a mapping of 'path' and 'id'"),
        ("megaface", lambda f: (f / "megaface_list.json").write_text("[" * 100_000), "no valid JSON"),
        ("tinyface", lambda f: (f / "Testing_Set/Probe/1_1.jpg").rename(f / "Testing_Set/Probe/a.jpg"), "12_3.jpg"),
        ("tinyface", lambda f: shutil.rmtree(f / "Testing_Set/Probe"), "no protocol knows this test set"),
        ("ijbs", replaced("protocols/uav-to-booking/probe.csv", ",100,0/4.jpg", ",100"), "entry 1 names no image"),
        ("ijbs", replaced("protocols/uav-to-booking/probe.csv", "0/4.jpg", "../../x.jpg"), "leads out of the folder"),
        (
            "ijbs",
            replaced("protocols/uav-to-booking/probe.csv", "2,100,0/5", "2,7,0/5"),
            "template 2 is of two subjects",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(sets: Path, tmp_path: Path, kind: str, damage: Damage, message: str) -> None:
    shutil.copytree(sets / kind, tmp_path / kind)
    damage(tmp_path / kind)
    with pytest.raises(UserError, match=message) as caught:
        evaluated(str(tmp_path / kind))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["pairs", "tinyface", "megaface"])
def test_a_link_that_leads_out_is_refused(sets: Path, tmp_path: Path, kind: str) -> None:
    shutil.copytree(sets / kind, tmp_path / kind)
    image = sorted((tmp_path / kind).rglob("*.jpg"))[0]
    (tmp_path / "outside.jpg").write_bytes(image.read_bytes())
    image.unlink()
    image.symlink_to(tmp_path / "outside.jpg")
    with pytest.raises(UserError, match="leads out of the folder"):
        evaluated(str(tmp_path / kind))


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("@gaus:sigma=1", "unknown variant 'gaus': did you mean 'gauss'"),
        ("@gauss", "expected @gauss:sigma=PIXELS"),
        ("@gauss:sigma=0", "greater than 0"),
        ("@gauss:sigma=x", "valid number"),
        ("@gauss:sigma=1@gauss:sigma=2", "'gauss' is given twice"),
        ("@lfw@boundaryface", "two protocols"),
        ("@lfw:folds=3", "unknown key 'folds'"),
        ("@lfw:images", "'images' is no option"),
        ("@ijb:flags=N2", "flags"),
    ],
)
def test_a_variant_at_fault_is_explained(sets: Path, variant: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(f"{sets / 'pairs'}{variant}")


def test_the_variants_and_another_protocol_are_in_the_name(sets: Path) -> None:
    pairs = str(sets / "pairs")
    assert parse(pairs).name == "pairs"
    assert parse(pairs, "lfw").name == "pairs"
    assert parse(pairs, "boundaryface").name == "pairs@boundaryface"
    assert parse(f"{pairs}@gauss:sigma=2", "boundaryface").name == "pairs@boundaryface@gauss:sigma=2"
    assert parse(f"{sets / 'pairs' / 'pairs.txt'}@gauss:sigma=2").name == "pairs@gauss:sigma=2"


def test_a_variant_or_another_image_is_another_identity(sets: Path, tmp_path: Path) -> None:
    shutil.copytree(sets / "tinyface", tmp_path / "tinyface")
    (tmp_path / "tinyface/Testing_Set/Probe/1_1.jpg").unlink()
    texts = [sets / "tinyface", tmp_path / "tinyface", f"{sets / 'tinyface'}@gauss:sigma=1", sets / "pairs/pairs.txt"]
    assert len({identity(parse(str(text))) for text in texts}) == 4


def test_images_need_a_backbone(sets: Path) -> None:
    for kind in kinds():
        with pytest.raises(UserError, match="name a backbone with --checkpoint"):
            evaluate_test_set(None, parse(str(sets / kind)))


def test_every_kind_that_can_be_made_has_its_protocol(sets: Path) -> None:
    assert {*kinds()} - {"pairs"} <= {*names()}
    with pytest.raises(UserError, match="did you mean 'megaface'"):
        make_test_set("megafac", sets / "new")
    with pytest.raises(UserError, match="people is 2"):
        make_test_set("ijb", sets / "new", people=2)
    assert not (sets / "new").exists()


def test_the_real_lfw(lfw: Path) -> None:
    plain, blurred, centred = (
        evaluated(f"{lfw / 'lfw.bin'}{variant}") for variant in ("", "@gauss:sigma=1.5", "@boundaryface")
    )
    assert plain.num_pairs == blurred.num_pairs == centred.num_pairs == 3000
    for result in (plain, blurred, centred):
        assert result.accuracy is not None
        assert 0.6 < result.accuracy < 0.8  # what 48 fields of colour are worth
    assert plain.auc is not None
    assert plain.eer is not None
    assert abs(plain.eer - (1 - plain.auc)) < 0.1
    assert len({plain.accuracy, blurred.accuracy, centred.accuracy}) == 3
