"""Errors reach the user whole, from a worker process, too."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from noisebench.errors import FileError, UserError
from noisebench.formats.recordio import RecordError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("no method 'arc'"), "no method 'arc'"),
        (FileError(Path("a.rec"), "is empty"), "a.rec: is empty"),
        (FileError("a.rec", "is empty", "copy it again"), "a.rec: is empty (copy it again)"),
        (
            RecordError(Path("a.rec"), 7, 512, "ends early", "copy it again"),
            "a.rec: record 7 at byte 512: ends early (copy it again)",
        ),
    ],
)
def test_an_error_says_the_same_after_it_crossed_a_process(error: UserError, line: str) -> None:
    crossed = pickle.loads(pickle.dumps(error))
    assert type(crossed) is type(error)
    assert str(crossed) == str(error) == line
    assert vars(crossed) == vars(error)
