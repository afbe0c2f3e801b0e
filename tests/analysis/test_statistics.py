"""Means and sample standard deviations worked by hand."""

from __future__ import annotations

import pytest

from noisebench.analysis.statistics import Summary, summarise


def test_by_hand() -> None:
    # Deviations -2, -1, 3 of mean 4: squares add up to 14, over n - 1 = 2.
    assert summarise([2, 3, 7]) == Summary(mean=4, std=7**0.5, n=3)


def test_one_value_has_no_deviation() -> None:
    assert summarise([0.25]) == Summary(mean=0.25, std=None, n=1)


def test_the_order_of_values_does_not_matter() -> None:
    values = [0.1, 0.2, 0.3, 1e16, -1e16]
    assert summarise(values) == summarise(reversed(values))


def test_nothing_cannot_be_summarised() -> None:
    with pytest.raises(ValueError, match="no values"):
        summarise([])
