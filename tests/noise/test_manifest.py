from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from datasets_tools.make_noise import make_manifest
from noisebench.errors import FileError, UserError
from noisebench.noise.manifest import KINDS, Manifest
from noisebench.noise.recipe import load_recipe
from tests.fabricated import fabricated_set

BASE = fabricated_set()
OUTLIERS = fabricated_set(30, first_key=500, folder="outliers")


@pytest.fixture
def manifest() -> Manifest:
    return make_manifest(load_recipe("c20o20"), BASE, OUTLIERS, seed=0)


@pytest.fixture
def file(manifest: Manifest, tmp_path: Path) -> Path:
    path = tmp_path / "noise" / "c20o20.parquet"
    manifest.write(path)
    return path


def rewrite(path: Path, *, metadata: dict[str, Any] | None = None, **columns: NDArray[Any]) -> None:
    """Change a manifest's file as its owner might: with pyarrow, keeping all else."""
    table = pq.read_table(path)
    for name, values in columns.items():
        position = table.schema.get_field_index(name)
        field = table.schema.field(name)
        table = table.set_column(position, field, pa.array(values, field.type))
    if metadata is not None:
        content = json.loads(table.schema.metadata[b"noisebench"]) | metadata
        table = table.replace_schema_metadata({"noisebench": json.dumps(content)})
    pq.write_table(table, path)


def refusal(path: Path) -> str:
    with pytest.raises(FileError) as caught:
        Manifest.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_the_file_holds_the_documented_columns_and_types(file: Path) -> None:
    schema = pq.read_schema(file)
    assert [(field.name, str(field.type)) for field in schema] == [
        ("index", "int64"),
        ("true_label", "int32"),
        ("label", "int32"),
        ("kind", "dictionary<values=string, indices=int8, ordered=0>"),
        ("source", "int8"),
        ("source_index", "int64"),
        ("source_label", "int32"),
    ]
    frame = pq.read_table(file).to_pandas()
    assert set(frame["kind"]) == set(KINDS)
    assert (frame["index"] == BASE.keys).all()


def test_the_metadata_holds_what_the_contract_lists(file: Path, manifest: Manifest) -> None:
    content = json.loads(pq.read_schema(file).metadata[b"noisebench"])
    assert content["schema_version"] == 1
    assert content["recipe"]["name"] == "c20o20"
    assert content["recipe"]["closed"] == {"rate": "0.2", "targets": "uniform", "neighbours": None}
    assert content["seed"] == 0
    assert (content["num_classes"], content["num_new_classes"]) == (BASE.num_classes, 0)
    assert content["fingerprints"] == {
        "base": BASE.fingerprint, "outliers": OUTLIERS.fingerprint, "centres": None
    }  # fmt: skip
    kinds = pq.read_table(file).column("kind").to_pylist()
    assert content["realised"] == content["asked"] == {kind: kinds.count(kind) for kind in KINDS}
    closed = [[k for k, t in zip(kinds, BASE.labels, strict=True) if t == c].count("closed") for c in range(20)]
    expected = {"min": min(closed), "median": float(np.median(closed)), "max": max(closed)}
    assert content["images_per_class"]["closed"] == expected
    assert content["checksum"] == manifest.checksum


def test_the_checksum_is_sha256_over_the_columns_bytes(file: Path, manifest: Manifest) -> None:
    table = pq.read_table(file).to_pydict()
    digest = hashlib.sha256()
    for name, size in [("index", 8), ("true_label", 4), ("label", 4)]:
        digest.update(b"".join(value.to_bytes(size, "little") for value in table[name]))
    digest.update(bytes({"clean": 0, "closed": 1, "open": 2}[kind] for kind in table["kind"]))
    for name, size in [("source", 1), ("source_index", 8), ("source_label", 4)]:
        digest.update(b"".join(value.to_bytes(size, "little") for value in table[name]))
    assert manifest.checksum == digest.hexdigest()


def test_reading_gives_back_what_was_written(file: Path, manifest: Manifest) -> None:
    again = Manifest.read(file)
    for name, column in manifest.columns().items():
        np.testing.assert_array_equal(again.columns()[name], column)
        assert again.columns()[name].dtype == column.dtype
    assert again.origin == manifest.origin
    assert again.metadata() == manifest.metadata()


def test_equal_manifests_make_equal_files(file: Path, manifest: Manifest, tmp_path: Path) -> None:
    Manifest.read(file).write(tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == file.read_bytes()
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_cut_in_row_groups_reads_the_same(file: Path, manifest: Manifest) -> None:
    pq.write_table(pq.read_table(file), file, row_group_size=7)
    assert Manifest.read(file).checksum == manifest.checksum


def test_columns_cannot_be_changed(manifest: Manifest) -> None:
    for column in manifest.columns().values():
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


@pytest.mark.parametrize("column", ["true_label", "label", "source_label", "index", "source_index"])
def test_one_number_changed_by_hand_is_found(file: Path, manifest: Manifest, column: str) -> None:
    row = int(np.flatnonzero(manifest.kind == KINDS.index("closed"))[0])
    values = manifest.columns()[column].copy()
    values[row] = (values[row] + 1) % BASE.num_classes
    changed: dict[str, Any] = {column: values}
    rewrite(file, **changed)
    assert "contradicts itself" in refusal(file) or "changed after it was made" in refusal(file)


def test_a_label_changed_by_hand_is_found_by_the_checksum(file: Path, manifest: Manifest) -> None:
    row = int(np.flatnonzero(manifest.kind == KINDS.index("closed"))[0])
    label = manifest.label.copy()
    label[row] = next(c for c in range(20) if c not in (label[row], manifest.true_label[row]))
    rewrite(file, label=label)
    assert f"changed after it was made: checksum {dataclasses.replace(manifest, label=label).checksum}" in refusal(file)


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"schema_version": 2}, "schema version 2, but this noisebench reads version 1"),
        ({"realised": {"clean": 1, "closed": 2, "open": 3}}, "its metadata counts other rows"),
        ({"num_classes": 3}, "is not below 3"),
        ({"num_classes": 2**40}, "key 'num_classes' is 1099511627776"),
        ({"seeed": 1}, "unknown key 'seeed': did you mean 'seed'?"),
        ({"seed": None}, "key 'seed' is None"),
        ({"checksum": "0"}, "expected 0"),
        ({"fingerprints": {"base": "a", "outliers": None}}, "an outlier set is named if and only if"),
        ({"recipe": {"name": "closed30"}}, "key 'closed.rate' is 0, but the name 'closed30' says 0.3"),
    ],
)
def test_changed_metadata_is_refused(file: Path, metadata: dict[str, Any], complaint: str) -> None:
    rewrite(file, metadata=metadata)
    assert complaint in refusal(file)


def test_files_that_are_no_manifest_are_refused(file: Path, tmp_path: Path) -> None:
    table = pq.read_table(file)
    other = tmp_path / "other.parquet"
    assert "no such noise manifest" in refusal(other)
    other.write_bytes(b"PAR1 is not enough PAR1")
    assert "no noise manifest, or damaged" in refusal(other)
    pq.write_table(table.replace_schema_metadata(None), other)
    assert "the metadata key 'noisebench' is missing" in refusal(other)
    pq.write_table(table.drop_columns(["source"]), other)
    assert "its columns are" in refusal(other)
    pq.write_table(table.set_column(2, "label", table.column("label").cast(pa.int64())), other)
    assert "column 'label' is int64, expected int32" in refusal(other)
    pq.write_table(table.slice(0, 0), other)
    assert "contradicts itself" in refusal(other)
    kinds = pa.DictionaryArray.from_arrays(pa.array([0] * len(BASE.keys), pa.int8()), pa.array(["dirty"]))
    pq.write_table(table.set_column(3, "kind", kinds), other)
    assert "column 'kind' holds 'dirty'" in refusal(other)
    pq.write_table(table.set_column(2, "label", pa.array([None] * len(BASE.keys), pa.int32())), other)
    assert "column 'label' has empty cells" in refusal(other)


def test_damaged_bytes_are_refused_or_change_nothing(file: Path, manifest: Manifest) -> None:
    """Bytes flipped and files cut short, everywhere: one clear line, or the very same manifest."""
    whole = np.frombuffer(file.read_bytes(), dtype=np.uint8)
    random = np.random.Generator(np.random.Philox(0))
    for position in random.permutation(len(whole))[:300]:
        damaged = whole.copy()
        damaged[position] ^= random.integers(1, 256, dtype=np.uint8)
        assert_harmless(file, damaged, manifest)
        assert_harmless(file, whole[:position], manifest)


def assert_harmless(file: Path, content: NDArray[np.uint8], manifest: Manifest) -> None:
    file.write_bytes(content.tobytes())
    with contextlib.suppress(FileError):
        assert Manifest.read(file).checksum == manifest.checksum


@pytest.mark.parametrize(
    ("column", "kind", "value", "complaint"),
    [
        ("index", "clean", -1, "key is negative"),
        ("true_label", "open", 20, "true_label is not below 20"),
        ("label", "open", -1, "label is not below 20"),
        ("kind", "clean", 3, "kind is none of"),
        ("kind", "clean", 1, "a closed-set image bears its true label"),
        ("kind", "closed", 0, "a clean image bears a wrong label"),
        ("source", "clean", 1, "source does not fit the kind"),
        ("source", "open", 0, "source does not fit the kind"),
        ("source_index", "clean", 7, "not read from its own record"),
        ("source_label", "open", -1, "source_label is negative"),
    ],
)
def test_a_row_that_contradicts_itself_cannot_be_made(
    manifest: Manifest, column: str, kind: str, value: int, complaint: str
) -> None:
    row = int(np.flatnonzero(manifest.kind == KINDS.index(kind))[3])
    values = manifest.columns()[column].copy()
    values[row] = value
    changed: dict[str, Any] = {column: values}
    with pytest.raises(ValueError, match=f"row {row}: .*{complaint}"):
        dataclasses.replace(manifest, **changed)


def test_columns_of_other_lengths_or_types_are_refused(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match="length"):
        dataclasses.replace(manifest, label=manifest.label[1:])
    with pytest.raises(TypeError, match="int64"):
        dataclasses.replace(manifest, label=manifest.label.astype(np.int64))


def test_a_manifest_knows_its_data(manifest: Manifest) -> None:
    manifest.check_against(BASE, OUTLIERS)
    with pytest.raises(UserError, match="name it with --outliers"):
        manifest.check_against(BASE, None)
    make_manifest(load_recipe("closed30"), BASE, None, seed=0).check_against(BASE, OUTLIERS)


def test_other_data_is_refused_with_both_fingerprints(manifest: Manifest) -> None:
    other = fabricated_set(21)
    for base, outliers, found, expected in [
        (other, OUTLIERS, other.fingerprint, BASE.fingerprint),
        (BASE, other, other.fingerprint, OUTLIERS.fingerprint),
    ]:
        with pytest.raises(FileError) as caught:
            manifest.check_against(base, outliers)
        assert str(caught.value).startswith("fabricated: ")
        assert found in str(caught.value)
        assert expected in str(caught.value)


def test_a_forged_fingerprint_does_not_make_records_appear(manifest: Manifest) -> None:
    origin = manifest.origin
    smaller = OUTLIERS.reordered(np.arange(5))
    forged = origin.fingerprints.model_copy(update={"outliers": smaller.fingerprint})
    replaced = dataclasses.replace(manifest, origin=origin.model_copy(update={"fingerprints": forged}))
    with pytest.raises(FileError, match="a record that the noise manifest names is not in it"):
        replaced.check_against(BASE, smaller)
    shuffled = BASE.reordered(np.arange(len(BASE.keys))[::-1])
    forged = origin.fingerprints.model_copy(update={"base": shuffled.fingerprint})
    replaced = dataclasses.replace(manifest, origin=origin.model_copy(update={"fingerprints": forged}))
    with pytest.raises(FileError, match="records or labels"):
        replaced.check_against(shuffled, OUTLIERS)
