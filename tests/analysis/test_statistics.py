"""Statistics worked by hand, from printed tables of t, and by brute force over all sign flips."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebench.analysis.statistics import (
    Interval,
    Paired,
    Summary,
    bootstrap_interval,
    holm,
    in_words,
    interval_of,
    paired,
    sign_flip_p,
    summarise,
    t_quantile,
    t_within,
    verdict,
)
from noisebench.analysis.text import signed_percent


def test_by_hand() -> None:
    # Deviations -2, -1, 3 of mean 4: squares add up to 14, over n - 1 = 2.
    assert summarise([2, 3, 7]) == Summary(mean=4, std=7**0.5, n=3)


def test_one_value_has_no_deviation_and_no_interval() -> None:
    assert summarise([0.25]) == Summary(mean=0.25, std=None, n=1)
    assert interval_of(Summary(0.25, None, 1)) is None


def test_the_order_of_values_does_not_matter() -> None:
    values = [0.1, 0.2, 0.3, 1e16, -1e16]
    assert summarise(values) == summarise(reversed(values))


def test_nothing_cannot_be_summarised() -> None:
    with pytest.raises(ValueError, match="no values"):
        summarise([])


@pytest.mark.parametrize(
    ("degrees", "at_95", "at_99"),
    [
        (1, 12.706, 63.657),
        (2, 4.303, 9.925),
        (3, 3.182, 5.841),
        (4, 2.776, 4.604),
        (5, 2.571, 4.032),
        (9, 2.262, 3.250),
        (10, 2.228, 3.169),
        (29, 2.045, 2.756),
        (30, 2.042, 2.750),
        (120, 1.980, 2.617),
    ],
)
def test_quantiles_are_those_of_the_printed_t_table(degrees: int, at_95: float, at_99: float) -> None:
    assert round(t_quantile(0.95, degrees), 3) == at_95
    assert round(t_quantile(0.99, degrees), 3) == at_99


@pytest.mark.parametrize("degrees", range(1, 13))
def test_probabilities_are_integrals_of_the_density(degrees: int) -> None:
    constant = math.gamma((degrees + 1) / 2) / math.gamma(degrees / 2) / math.sqrt(degrees * math.pi)
    t, steps = 1.7, 2000  # Simpson's rule
    density = [constant * (1 + (t * i / steps) ** 2 / degrees) ** (-(degrees + 1) / 2) for i in range(steps + 1)]
    integral = t / steps / 3 * (density[0] + 4 * sum(density[1:-1:2]) + 2 * sum(density[2:-1:2]) + density[-1])
    assert t_within(t, degrees) == pytest.approx(2 * integral, abs=1e-12)
    assert t_within(-t, degrees) == t_within(t, degrees)


def test_one_and_two_degrees_have_closed_forms() -> None:
    assert t_within(1, 1) == pytest.approx(0.5, abs=1e-15)
    assert t_within(3, 2) == pytest.approx(3 / math.sqrt(11), abs=1e-15)
    assert t_quantile(0.5, 1) == pytest.approx(1, abs=1e-15)
    assert t_quantile(0.95, 2) == pytest.approx(0.95 * math.sqrt(2 / (1 - 0.95**2)), rel=1e-14)


def test_an_interval_by_hand() -> None:
    # std / sqrt(n) = 1 / 2, and t(0.975, 3) = 3.182446...
    low, high = interval_of(Summary(10, 1, 4)) or (math.nan, math.nan)
    assert (low, high) == pytest.approx((10 - 3.182446305 / 2, 10 + 3.182446305 / 2))


@pytest.mark.parametrize("values", [[3.0, 1.0, 2.0], [0.5, 0.1, 0.9, 0.3, 0.2], [1.0, 1.0, 4.0, 2.0, 8.0, 5.0]])
def test_the_bootstrap_interval_covers_95_per_cent_of_all_resamples(values: list[float]) -> None:
    means = sorted(math.fsum(drawn) / len(values) for drawn in itertools.product(values, repeat=len(values)))
    interval = bootstrap_interval(values)
    assert interval is not None
    assert interval == bootstrap_interval(values[::-1])
    for end, share in zip(interval, (0.025, 0.975), strict=True):
        # Of 10,000 draws, the share below a quantile is off by 0.0016 (standard deviation): four of them here.
        below = sum(mean < end - 1e-12 for mean in means) / len(means)
        up_to = sum(mean <= end + 1e-12 for mean in means) / len(means)
        assert below - 0.0063 <= share <= up_to + 0.0063


def test_one_value_has_no_bootstrap_interval_and_equal_ones_none_to_speak_of() -> None:
    assert bootstrap_interval([0.25]) is None
    assert bootstrap_interval([0.25] * 3) == Interval(0.25, 0.25)


def test_a_paired_test_by_hand() -> None:
    # Differences 1, 2, 3: mean 2, std 1, t = 2 sqrt(3), and for two degrees p = 1 - t / sqrt(2 + t^2).
    first, second = {0: 11.0, 1: 22.0, 2: 33.0, 7: 0.0}, {2: 30.0, 1: 20.0, 0: 10.0, 8: 0.0}
    test = paired(first, second)
    assert (test.difference, test.n) == (Summary(2, 1, 3), 3)
    assert test.p == pytest.approx(1 - math.sqrt(12 / 14))
    assert test.p_exact == 2 / 8  # only +++ and --- are as far from zero
    assert test.interval == interval_of(Summary(2, 1, 3))
    mirrored = paired(second, first)
    assert (mirrored.p, mirrored.difference) == (test.p, Summary(-2, 1, 3))


def test_too_few_seeds_give_no_test() -> None:
    assert paired({0: 1.0}, {1: 1.0}) == Paired(None, None, None, None, 0)
    assert paired({0: 3.0, 2: 1.0}, {0: 1.0}) == Paired(Summary(2, None, 1), None, None, None, 1)


def test_equal_differences_leave_their_signs_to_judge() -> None:
    # 0.3 - 0.2 and 0.2 - 0.1 differ in their last bits; a t of 10^15 out of those would be no evidence.
    test = paired({0: 0.3, 1: 0.2, 2: 0.7}, {0: 0.2, 1: 0.1, 2: 0.6})
    assert (test.p, test.p_exact) == (0.25, 0.25)
    assert paired({0: 0.3, 1: 0.2}, {0: 0.3, 1: 0.2}).p == 1


def test_means_that_differ_by_rounding_alone_are_equal() -> None:
    first, second = {0: 0.3, 1: 0.1}, {0: 0.2, 1: 0.2}
    assert first[0] - second[0] + first[1] - second[1] < 0
    for test in (paired(first, second), paired(second, first)):
        assert test.difference is not None
        assert test.difference.mean == 0
    assert signed_percent(-1e-17) == signed_percent(0.00004) == "+0.00"
    assert signed_percent(-0.0123) == "-1.23"


def test_beyond_ten_seeds_only_the_t_test_is_made() -> None:
    first = {seed: 0.5 + 0.01 * (seed % 3) for seed in range(11)}
    test = paired(first, dict.fromkeys(first, 0.49))
    assert test.p_exact is None
    assert test.p is not None


@given(st.lists(st.integers(-30, 30), min_size=1, max_size=7))
def test_sign_flips_by_brute_force(differences: list[int]) -> None:
    flipped = [
        sum(map(int.__mul__, signs, differences)) for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    share = Fraction(sum(abs(total) >= abs(sum(differences)) for total in flipped), len(flipped))
    assert sign_flip_p([difference / 100 for difference in differences]) == share


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.5 times 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.5; none below the one before.
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=6), st.floats(0.001, 0.5))
def test_holm_rejects_step_by_step(p_values: list[float], level: float) -> None:
    rejected: set[int] = set()
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        if (len(p_values) - rank) * p_values[place] > level:
            break
        rejected.add(place)
    assert {place for place, adjusted in enumerate(holm(p_values)) if adjusted <= level} == rejected


def test_verdicts() -> None:
    test = paired({0: 3.0, 1: 5.0}, {0: 1.0, 1: 1.0})
    assert verdict(test, 0.06) == "not distinguishable (n=2)"
    assert verdict(test, 0.05) == "higher (p=0.05, n=2)"
    assert verdict(paired({0: 0.0, 1: 1.0}, {0: 3.0, 1: 3.0}), 0.0002) == "lower (p<0.001, n=2)"
    assert verdict(paired({0: 3.0}, {0: 1.0}), None) == "one seed: no test"
    assert verdict(paired({0: 3.0}, {1: 1.0}), None) == "no seed in common"
    assert in_words(0.01234) == "p=0.012"
    assert isinstance(interval_of(Summary(0, 0, 2)), Interval)
