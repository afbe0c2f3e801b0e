"""Decisions that a file cannot hold are refused; a relabelling that a later round only spares is still one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noisebench.cleaning.choose import choose_rule
from noisebench.cleaning.decisions import KEPT, RELABELLED, SPARED, Decisions
from noisebench.errors import FileError, UserError
from tests.analysis.runs import manifest


def decisions(decision: list[int], new_label: list[int], number: list[int]) -> Decisions:
    score = np.arange(len(decision), dtype=np.float32)
    return Decisions(np.array(decision, np.int8), np.array(new_label, np.int32), score, np.array(number, np.int16))


@pytest.mark.parametrize("name", ["burned", None])
def test_a_decision_that_is_none_is_damage(tmp_path: Path, name: str | None) -> None:
    path = tmp_path / "clean.decisions.parquet"
    decisions([KEPT, KEPT, KEPT], [0, 1, 2], [0, 0, 0]).write(path, manifest([0, 0, 0], 3))
    table = pq.read_table(path)
    place = table.column_names.index("decision")
    names = pa.array(["kept", name, "kept"]).dictionary_encode().cast(table.field(place).type)
    pq.write_table(table.set_column(place, table.field(place), names), path)
    with pytest.raises(FileError, match="damaged"):
        Decisions.read(path, 3)


def test_what_a_round_relabelled_and_the_next_one_spared_stays_relabelled() -> None:
    first = decisions([RELABELLED, KEPT, KEPT], [1, 0, 2], [1, 0, 0])
    second = decisions([SPARED, KEPT, SPARED], [1, 0, 2], [0, 0, 0])
    both = first.then(second, np.array([0, 0, 2], np.int32))
    assert both.decision.tolist() == [RELABELLED, KEPT, SPARED]
    assert both.round.tolist() == [1, 0, 0]
    assert both.changed.tolist() == (both.new_label != [0, 0, 2]).tolist()


def test_a_rule_looks_at_one_epoch_at_least() -> None:
    with pytest.raises(UserError, match="rule 'gap': key 'epochs' is 0"):
        choose_rule("gap", epochs=0)
