"""The estimate of the noise rate, against its rule written out in loops, and on two heaps of known size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebench.analysis.noise_rate import NUM_BINS, estimate_noise_rate, noise_rates
from noisebench.noise.schema import CLEAN, CLOSED
from tests.analysis.made_up import made_up_log

HEAP = st.tuples(st.integers(0, NUM_BINS - 1), st.integers(1, 20), st.integers(1, 3000))


def heaps(*shapes: tuple[int, int, int]) -> list[int]:
    """A histogram of triangles, each with its middle, half width and height."""
    return [
        sum(height * max(0, width - abs(number - middle)) // width for middle, width, height in shapes)
        for number in range(NUM_BINS)
    ]


def expected(histogram: list[int]) -> tuple[int, int, float, float]:
    """Left and right top, and both estimates, bin by bin."""
    smooth = [sum(histogram[b - 2 : b + 3]) if 2 <= b < NUM_BINS - 2 else 0 for b in range(NUM_BINS)]
    total = sum(smooth)
    cdf = [sum(smooth[: b + 1]) / total for b in range(NUM_BINS)]
    left = next(b for b in range(NUM_BINS) if cdf[b] >= 0.005)
    right = max((b for b in range(NUM_BINS) if cdf[b] <= 0.995), default=-1)
    middle, top = (left + right) // 2, smooth.index(max(smooth))

    def exceeds(b: int, distance: int, by: int) -> bool:
        if b < distance or b + distance >= NUM_BINS:
            return False
        around = (smooth[b - distance], smooth[b + distance])
        return all(smooth[b] >= n if distance == 1 else smooth[b] > n + 5 * by for n in around)

    tops = [
        b
        for b in range(max(left, 0), right + 1)
        if all(exceeds(b, distance, by) for distance, by in ((1, 0), (2, 0), (3, 1), (4, 2), (5, 3)))
    ] or [top]
    left_top, right_top = (top, max(tops[-1], middle)) if top < middle else (min(tops[0], middle), top)
    if left_top >= middle:
        return left_top, right_top, 0.0, 0.0
    between = smooth[left_top : right_top + 1]
    valley = left_top + between.index(min(between))
    return left_top, right_top, 2 * cdf[left_top], sum(histogram[:valley]) / sum(histogram)


@given(st.lists(HEAP, min_size=1, max_size=3))
def test_the_estimate_follows_its_rule(shapes: list[tuple[int, int, int]]) -> None:
    histogram = heaps(*shapes)
    if not sum(histogram[:-2][2:]):
        return
    left_top, right_top, twice_left, below = expected(histogram)
    found = estimate_noise_rate(np.array(histogram))
    assert (found.left_top, found.right_top) == pytest.approx((left_top / 100 - 1, right_top / 100 - 1))
    assert (found.twice_left, found.below_valley) == pytest.approx((twice_left, below))


def test_two_heaps_apart_tell_the_rate() -> None:
    histogram = heaps((110, 15, 400), (170, 15, 1600))
    found = estimate_noise_rate(np.array(histogram))
    assert (found.left_top, found.right_top) == pytest.approx((0.10, 0.70))
    assert found.below_valley == pytest.approx(sum(histogram[:126]) / sum(histogram))
    assert found.below_valley == pytest.approx(0.2, abs=1e-3)
    assert found.twice_left == pytest.approx(0.2, abs=0.03)


def test_one_heap_tells_none() -> None:
    found = estimate_noise_rate(np.array(heaps((150, 20, 1000))))
    assert (found.twice_left, found.below_valley) == (0, 0)
    assert np.isnan(found.valley)


def test_nothing_tells_nothing() -> None:
    assert np.isnan(estimate_noise_rate(np.zeros(NUM_BINS, np.int64)).twice_left)


def test_the_true_rate_is_that_of_the_samples_logged(tmp_path: Path) -> None:
    log = made_up_log(tmp_path, [CLEAN] * 15 + [CLOSED] * 5)
    frame = log.over_epochs(noise_rates)
    assert frame["epoch"].tolist() == [0, 1, 2]
    assert frame["true_rate"].tolist() == [5 / 19] * 3
