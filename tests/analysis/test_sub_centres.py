"""Shares of sub-centres, counted by hand."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebench.analysis.sub_centres import dominant_sub_centres, sub_centre_shares, sub_centres
from noisebench.errors import UserError
from tests.analysis.made_up import made_up_log

Sample = tuple[int, int, bool]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans()), min_size=1, max_size=40))
def test_the_four_shares(samples: list[Sample]) -> None:
    label, sub_centre, noisy = (np.array(column) for column in zip(*samples, strict=True))
    counts = Counter((of_class, of_sub) for of_class, of_sub, _ in samples)
    dominant = {}
    for of_class in range(4):
        numbers = [counts[of_class, k] for k in range(3)]
        dominant[of_class] = numbers.index(max(numbers))
    assert dominant_sub_centres(label, sub_centre, 4).tolist() == list(dominant.values())
    four = Counter((k == dominant[of_class], is_noisy) for of_class, k, is_noisy in samples)
    shares = dataclasses.astuple(sub_centre_shares(label, sub_centre, noisy))
    expected = [four[True, False], four[True, True], four[False, False], four[False, True]]
    assert shares == pytest.approx([number / len(samples) for number in expected])


def test_an_epoch_of_the_log(tmp_path: Path) -> None:
    samples = made_up_log(tmp_path).epoch(0)
    told = dataclasses.replace(samples, sub_centre=samples.row % 3)
    row = sub_centres(told).iloc[0]
    assert row["epoch"] == 0
    assert row[1:].sum() == pytest.approx(1)


def test_a_log_without_them_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no column 'sub_centre'"):
        sub_centres(made_up_log(tmp_path).epoch(0))
