"""Real noise imported from a list: the manifest says what the list says, and a wrong list is one clear line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from datasets_tools.app import app
from datasets_tools.audit import audit
from datasets_tools.known_list import KnownList
from datasets_tools.known_noise import Others, known_manifest, truth
from noisebench.errors import FileError
from noisebench.files import sha256_of
from noisebench.formats.face_set import FaceSet
from noisebench.noise.manifest import Manifest
from noisebench.noise.schema import CLEAN, CLOSED, KINDS, OPEN
from tests.fabricated import FabricatedSet, fabricated_set
from tests.markdown import REPOSITORY, table_of
from tests.tiny import write_faces

BASE = fabricated_set(20, first_key=10)
"""Records 10, 11, 12 show identity 0; 13 to 22 show identity 1."""


def listed(folder: Path, text: str, name: str = "list.csv") -> KnownList:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return KnownList.read(path)


def row_of(key: int) -> int:
    return int(np.flatnonzero(BASE.keys == key)[0])


def says(manifest: Manifest, key: int) -> tuple[int, int, int]:
    row = row_of(key)
    return int(manifest.kind[row]), int(manifest.true_label[row]), int(manifest.label[row])


EXAMPLE = "key,label\n# checked by hand\n10,0\n11,4\n12,-1\n13,noise\n14,delete\n15\n"


@pytest.mark.parametrize(
    ("others", "unsaid", "left_out"), [("clean", (OPEN, 1, 1), (CLEAN, 1, 1)), ("bad", (CLEAN, 1, 1), (OPEN, 1, 1))]
)
def test_the_manifest_says_what_the_list_says(
    tmp_path: Path, others: Others, unsaid: tuple[int, int, int], left_out: tuple[int, int, int]
) -> None:
    known = listed(tmp_path, EXAMPLE)
    manifest = known_manifest(known, BASE, others)
    expected = {10: (CLEAN, 0, 0), 11: (CLOSED, 4, 0), 12: (OPEN, 0, 0), 13: (OPEN, 1, 1), 14: (OPEN, 1, 1), 15: unsaid}
    assert {key: says(manifest, key) for key in expected} == expected
    assert {says(manifest, key) for key in range(16, 23)} == {left_out}
    np.testing.assert_array_equal(manifest.label, BASE.labels)
    np.testing.assert_array_equal(manifest.source_index, BASE.keys)
    assert not manifest.source.any()
    origin = manifest.origin
    assert origin.recipe.name == "known"
    assert origin.known is not None
    assert (origin.known.sha256, origin.known.listed, origin.known.others) == (sha256_of(known.path), 6, others)
    assert origin.fingerprints.outliers is None


def test_it_is_written_read_and_knows_its_data(tmp_path: Path) -> None:
    manifest = known_manifest(listed(tmp_path, EXAMPLE), BASE, "clean")
    manifest.write(tmp_path / "known.parquet")
    again = Manifest.read(tmp_path / "known.parquet")
    assert again.checksum == manifest.checksum
    assert again.origin == manifest.origin
    again.check_against(BASE, None)
    corrected = FabricatedSet(BASE.keys, manifest.true_label, BASE.num_classes)
    forged = dataclasses.replace(corrected, folder=Path("corrected"))
    origin = manifest.origin.model_copy(
        update={"fingerprints": manifest.origin.fingerprints.model_copy(update={"base": forged.fingerprint})}
    )
    with pytest.raises(FileError, match="records or labels are not those"):
        dataclasses.replace(manifest, origin=origin).check_base(forged)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.txt", "# image label\n\n10 0\n11\t4\n  12   -1\n13 Noise\n14 delete\n15\n"),
        ("list.tsv", "index\tlabel\n10\t0\n11\t4\n12\t-1\n13\tNOISE\n14\tdelete\n15\t\n"),
        ("list.csv", '\ufeffkey,label\n"10","0"\n11, 4\n12,-1\n13,noise\n14,delete\n15,\n'),
        ("list.csv", "15\n14,delete\n13,noise\n12,-1\n11,4\n11,4\n10,0\n"),
    ],
)
def test_the_same_list_in_another_format_says_the_same(tmp_path: Path, name: str, text: str) -> None:
    expected = known_manifest(listed(tmp_path, EXAMPLE, "example.csv"), BASE, "clean")
    assert known_manifest(listed(tmp_path, text, name), BASE, "clean").checksum == expected.checksum


@pytest.mark.parametrize(
    "labels",
    [
        pa.array([0, 4, -1, -1, -1, None]),
        pa.array(["0", "4", "noise", "-1", "-1", None]),
        pa.array([0.0, 4.0, -1.0, -1.0, -1.0, float("nan")]),
    ],
)
def test_parquet_says_the_same(tmp_path: Path, labels: pa.Array) -> None:
    pq.write_table(pa.table({"key": [10, 11, 12, 13, 14, 15], "label": labels}), tmp_path / "list.parquet")
    expected = known_manifest(listed(tmp_path, EXAMPLE), BASE, "clean")
    known = KnownList.read(tmp_path / "list.parquet")
    assert known_manifest(known, BASE, "clean").checksum == expected.checksum


def test_names_stand_for_keys(tmp_path: Path) -> None:
    names = tmp_path / "train.lst"
    names.write_text(
        "".join(f"{key}\t{label}.0\tm.{label}/{key} x.jpg\n" for key, label in zip(BASE.keys, BASE.labels, strict=True))
    )
    (tmp_path / "list.tsv").write_text("m.0/10 x.jpg\t0\nm.0/11 x.jpg\t4\nm.0/12 x.jpg\t-1\n")
    known = KnownList.read(tmp_path / "list.tsv", names)
    manifest = known_manifest(known, BASE, "clean")
    assert [says(manifest, key)[0] for key in (10, 11, 12, 13)] == [CLEAN, CLOSED, OPEN, CLEAN]
    assert manifest.origin.known is not None
    assert manifest.origin.known.names_sha256 == sha256_of(names)


@given(names=st.dictionaries(st.text("abé", min_size=1, max_size=3), st.integers(0, 99), min_size=1), asked=st.data())
def test_names_are_found_as_in_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, names: dict[str, int], asked: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "names.lst").write_text("".join(f"{key}\t{name}\n" for name, key in names.items()), encoding="utf-8")
    listed = asked.draw(st.lists(st.sampled_from(sorted(names)), unique_by=names.get))
    (folder / "list.tsv").write_text("".join(f"{name}\t0\n" for name in listed), encoding="utf-8")
    known = KnownList.read(folder / "list.tsv", folder / "names.lst")
    assert known.keys.tolist() == sorted(names[name] for name in listed)


@given(
    said=st.dictionaries(st.sampled_from(BASE.keys.tolist()), st.none() | st.integers(-1, 19)),
    others=st.sampled_from(["clean", "bad"]),
)
def test_the_truth_is_that_of_a_walk_over_the_images(
    tmp_path_factory: pytest.TempPathFactory, said: dict[int, int | None], others: Others
) -> None:
    text = "".join(f"{key},{'' if label is None else label}\n" for key, label in said.items())
    known = listed(tmp_path_factory.getbasetemp(), text)
    true_label, kind = truth(known, BASE.keys, BASE.labels, BASE.num_classes, others)
    for row, (key, label) in enumerate(zip(BASE.keys.tolist(), BASE.labels.tolist(), strict=True)):
        shown = said.get(key, "left out")
        if shown == "left out":
            shown = label if others == "clean" else -1
        elif shown is None:
            shown = -1 if others == "clean" else label
        expected = (label, OPEN) if shown == -1 else (shown, CLEAN if shown == label else CLOSED)
        assert (true_label[row], kind[row]) == expected


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("list.csv", "10,0\n9999,3\n", "line 2: record 9999 holds no image of the data set"),
        ("list.csv", "10,20\n", "line 1: the corrected label is 20, expected one of the set's 20 identities"),
        ("list.csv", "10,0\n11,1\n\n10,2\n", "line 4: contradicts line 1 on the label of record 10"),
        ("list.csv", "10,0\n10\n", "line 2: contradicts line 1 on the label of record 10"),
        ("list.csv", "10,0\nm.0107_f/3.jpg,0\n", "line 2: 'm.0107_f/3.jpg' is no record key (name the file"),
        (
            "list.csv",
            "10,-2\n",
            "line 1: the corrected label is '-2', expected a label from 0 on, or -1, noise, delete",
        ),
        ("list.csv", "10,m.0107_f\n", "line 1: the corrected label is 'm.0107_f'"),
        ("list.csv", f"10,{'9' * 5000}\n", "line 1: the corrected label is '999"),
        ("list.csv", "10,0,1\n", "line 1: 3 columns, expected an image and its corrected label"),
        ("list.csv", '10,"0\n11,1\n', "no list of images, or damaged: "),
        ("list.parquet", "10,0\n", "no list of images, or damaged: "),
    ],
)
def test_a_wrong_list_is_one_line_that_names_file_and_line(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    with pytest.raises(FileError) as caught:
        known_manifest(listed(tmp_path, text, name), BASE, "clean")
    assert str(caught.value).startswith(f"{tmp_path / name}: {complaint}")
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_and_files_that_are_missing_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"10 \xff\xfe\n")
    with pytest.raises(FileError, match="no list of images, or damaged"):
        KnownList.read(tmp_path / "list.txt")
    with pytest.raises(FileError, match="no such list"):
        KnownList.read(tmp_path / "none.txt")
    pq.write_table(pa.table({"kee": [1], "label": [2]}), tmp_path / "list.parquet")
    with pytest.raises(FileError, match="its first column is 'kee', expected the images: did you mean 'key'"):
        KnownList.read(tmp_path / "list.parquet")


@pytest.mark.parametrize(
    ("text", "names", "complaint"),
    [
        ("a 0\nc 0\n", "10 a\n11 b\n", "list.txt: line 2: no image is called 'c' in the file of names"),
        ("a 0\n", "10 a\n11 a\n", "names.txt: line 2: the name 'a' is that of record 10, and now of record 11"),
        (
            "a 0\n",
            "12 c\n10 a\n10 a\n# x\n\n11 a\n13 c\n12 c\n",
            "names.txt: line 6: the name 'a' is that of record 10, and now of record 11",
        ),
        ("a 0\n", "", "names.txt: names no image"),
        ("a 0\n", "10\n", "names.txt: line 1: 1 column, expected a record's key first and its name last"),
        ("a 0\n", "a 10\n", "names.txt: line 1: 'a' is no record key"),
    ],
)
def test_a_wrong_file_of_names_is_one_line(tmp_path: Path, text: str, names: str, complaint: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    (tmp_path / "names.txt").write_text(names)
    with pytest.raises(FileError) as caught:
        KnownList.read(tmp_path / "list.txt", tmp_path / "names.txt")
    assert complaint in str(caught.value)


def test_the_worked_example_of_the_docs_is_what_is_made(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "noise-protocols.md").read_text(encoding="utf-8")
    text = page.partition("```\nkey,label\n")[2].partition("```")[0]
    table = table_of("docs/noise-protocols.md", "| record | `label` | list |")
    seven = FabricatedSet(np.arange(1, 8), np.array(table["`label`"], dtype=np.int32), 2)
    clean, bad = (known_manifest(listed(tmp_path, text), seven, others) for others in ("clean", "bad"))
    assert list(map(str, clean.true_label)) == table["`true_label`"]
    assert [KINDS[code] for code in clean.kind] == table["kind"]
    assert [KINDS[code] for code in bad.kind] == table["kind with `--others bad`"]


def test_an_audit_reads_the_list_again(tmp_path: Path) -> None:
    known = listed(tmp_path, EXAMPLE)
    manifest = known_manifest(known, BASE, "clean")
    assert audit(manifest, BASE, known=known).passed
    without = audit(manifest, BASE)
    assert without.passed
    assert "not compared: which images are noise" in str(without)
    (difference,) = audit(manifest, BASE, known=listed(tmp_path, EXAMPLE + "16,3\n", "other.csv")).differences
    assert sha256_of(tmp_path / "other.csv") in difference
    true_label, row = manifest.true_label.copy(), row_of(11)
    true_label[row] = 5
    forged = dataclasses.replace(manifest, true_label=true_label)
    assert audit(forged, BASE).passed
    (difference,) = audit(forged, BASE, known=known).differences
    assert difference == (
        f"column 'true_label' differs in 1 rows, first in row {row} (record 11): 5, but the list says 4"
    )


def test_a_row_that_contradicts_itself_cannot_be_made(tmp_path: Path) -> None:
    manifest = known_manifest(listed(tmp_path, EXAMPLE), BASE, "clean")
    true_label = manifest.true_label.copy()
    true_label[row_of(12)] = 3
    with pytest.raises(ValueError, match=f"row {row_of(12)}: an image of nobody"):
        dataclasses.replace(manifest, true_label=true_label)
    source = manifest.source.copy()
    source[row_of(12)] = 1
    with pytest.raises(ValueError, match="an outlier set is named"):
        dataclasses.replace(manifest, source=source)


def test_from_the_command_line(tmp_path: Path) -> None:
    data, out = write_faces(tmp_path / "faces"), tmp_path / "known.parquet"
    keys = FaceSet.open(data).keys
    (tmp_path / "bad.txt").write_text(f"{keys[3]} noise\n{keys[8]} 0\n")
    known = [str(tmp_path / "bad.txt"), "--data", str(data), "--out", str(out)]
    done = CliRunner().invoke(app, ["known", *known])
    assert done.exit_code == 0, done.output
    assert "no difference" in done.output
    manifest = Manifest.read(out)
    assert np.flatnonzero(manifest.kind).tolist() == [3, 8]
    audited = CliRunner().invoke(app, ["audit", str(out), "--data", str(data), "--known", str(tmp_path / "bad.txt")])
    assert audited.exit_code == 0
    assert "not compared" not in audited.output
    (tmp_path / "bad.txt").write_text(f"{keys[3]} noise\n{keys[8]} 1\n")
    audited = CliRunner().invoke(app, ["audit", str(out), "--known", str(tmp_path / "bad.txt")])
    assert audited.exit_code == 1
    assert "DIFFERS: which images are noise" in audited.output
    bad = CliRunner().invoke(app, ["known", *known, "--others", "worse"])
    assert bad.exit_code == 2
