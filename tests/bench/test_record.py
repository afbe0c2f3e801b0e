"""The result record: documented by a schema, read back as written, refused when it is something else."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from noisebench.bench.record import RunRecord
from noisebench.errors import FileError
from tests.bench.records import done_record

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "result.schema.json"


def test_the_documented_schema_is_that_of_the_record() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == RunRecord.model_json_schema()


def test_a_record_comes_back_as_it_was_written_and_fits_the_schema(tmp_path: Path) -> None:
    record = done_record()
    record.write(tmp_path)
    assert RunRecord.read(tmp_path) == record
    jsonschema.validate(json.loads((tmp_path / "result.json").read_text()), json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"schema_version": 2}'])
def test_something_else_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(FileError, match="no result record of this version"):
        RunRecord.read(tmp_path)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"training": {"epochs": 2}}, 2),
        ({"training": {"epochs": "two"}}, 7),
        ({"training": {"epochs": {"least": 2}}}, 7),
        ({"training": {"epochs": float("inf")}}, 7),
        ({"training": [2]}, 7),
        ({"training": None}, 7),
        ({}, 7),
    ],
)
def test_a_number_of_a_configuration_of_any_shape(config: dict[str, object], expected: int) -> None:
    assert done_record(config=config).number("training.epochs", otherwise=7) == expected
