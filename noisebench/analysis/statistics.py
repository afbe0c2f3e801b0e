"""Statistics over the seeds of a method: how sure a mean is, and whether two methods can be told apart.

A mean comes with its sample standard deviation (ddof 1) and a 95 % interval, of Student's t or of the bootstrap. Two
methods are compared seed by seed, by the paired t test; since it leans on normal differences, the exact sign-flip test
stands beside it for up to ten seeds, and in its place where all differences are equal and t is not defined. Several
comparisons that are read together are corrected by Holm's method.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from noisebench.noise.counter import below

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
MAX_EXACT = 10
"""Seeds up to which all 2^n ways to flip the signs of the differences are tried."""
BOOTSTRAP_SEED, BOOTSTRAP_STREAM = 0, "bootstrap of a mean"
RESAMPLES = 10_000
IntervalKind = Literal["t", "bootstrap"]
_ROUNDING = 16 * np.finfo(np.float64).eps


class Summary(NamedTuple):
    """Mean of n values and their sample standard deviation (ddof 1), which one value does not have."""

    mean: float
    std: float | None
    n: int


class Interval(NamedTuple):
    """The 95 % interval of a mean."""

    low: float
    high: float


class Paired(NamedTuple):
    """Two methods over the seeds they share.

    Attributes:
        difference: Of the first less the second, seed by seed; None without a shared seed.
        interval: Of the mean difference; None below two shared seeds.
        p: Two-sided probability of so large a mean difference by chance; None below two shared seeds.
        p_exact: That of the sign-flip test; None below two or above ten shared seeds.
        n: Number of shared seeds.
    """

    difference: Summary | None
    interval: Interval | None
    p: float | None
    p_exact: float | None
    n: int


def summarise(values: Iterable[float]) -> Summary:
    """Mean, sample standard deviation and number of values.

    Sums are exact (`math.fsum`), so the order of the values does not matter.

    Raises:
        ValueError: There is no value.
    """
    numbers = list(values)
    if not numbers:
        raise ValueError("no values to summarise")
    n = len(numbers)
    mean = math.fsum(numbers) / n
    if n == 1:
        return Summary(mean, None, n)
    return Summary(mean, math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (n - 1)), n)


def interval_of(summary: Summary) -> Interval | None:
    """The t interval of the mean, mean ± t(0.975, n - 1) std / √n; None for one value."""
    if summary.std is None:
        return None
    reach = t_quantile(CONFIDENCE, summary.n - 1) * summary.std / math.sqrt(summary.n)
    return Interval(summary.mean - reach, summary.mean + reach)


def bootstrap_interval(values: Sequence[float]) -> Interval | None:
    """The percentile bootstrap interval of the mean, of 10,000 resamples; None for one value.

    The same values, in any order, always give the same interval: what is drawn hangs on a fixed seed alone. It makes no
    assumption about the distribution, but is too narrow for few values, for it never reaches beyond them. Source: Efron
    and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    n = len(values)
    if n < 2:
        return None
    drawn = below(BOOTSTRAP_SEED, BOOTSTRAP_STREAM, np.arange(RESAMPLES * n), n).reshape(RESAMPLES, n)
    means = np.sort(np.asarray(values, np.float64))[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Paired:
    """Compare two methods by their values of the same seeds; seeds that only one of them has are left out."""
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return Paired(None, None, None, None, 0)
    differences = [first[seed] - second[seed] for seed in seeds]
    summary = summarise(differences)
    scale = max(abs(value) for seed in seeds for value in (first[seed], second[seed]))
    if abs(summary.mean) <= _ROUNDING * scale:
        summary = summary._replace(mean=0.0)  # so that equal means are neither higher nor lower
    if summary.std is None:
        return Paired(summary, None, None, None, 1)
    exact = sign_flip_p(differences) if len(seeds) <= MAX_EXACT else None
    if summary.std > _ROUNDING * scale:
        p = 1 - t_within(summary.mean / (summary.std / math.sqrt(summary.n)), summary.n - 1)
    elif summary.mean == 0:
        p = 1.0
    else:  # equal differences: t is not defined, and only their signs say something
        p = 2.0 ** (1 - summary.n)
    return Paired(summary, interval_of(summary), max(p, 0.0), exact, summary.n)


def sign_flip_p(differences: Sequence[float]) -> float:
    """Exact two-sided p of a mean of paired differences: the share of sign flips whose mean is no nearer to zero.

    Were the two methods alike, each difference might as well have had the other sign. With n seeds no p is below
    2 / 2^n. Source: Fisher, "The Design of Experiments", 1935, section 21.
    """
    values = np.asarray(differences, dtype=np.float64)
    flips = np.arange(1 << len(values))[:, None] >> np.arange(len(values)) & 1
    sums = np.abs((1 - 2 * flips) @ values)
    return float(np.mean(sums >= abs(values.sum()) - _ROUNDING * np.abs(values).sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: those at most 0.05 may be called different with 5 % risk of any false call among them all.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def verdict(test: Paired, adjusted_p: float | None) -> str:
    """What a comparison says, in words: the first method against the second."""
    if test.n == 0:
        return "no seed in common"
    if adjusted_p is None or test.difference is None:
        return "one seed: no test"
    if adjusted_p > SIGNIFICANCE:
        return f"not distinguishable (n={test.n})"
    return f"{'higher' if test.difference.mean > 0 else 'lower'} ({in_words(adjusted_p)}, n={test.n})"


def in_words(p: float) -> str:
    """A p-value as printed: two digits, and no more precision than it has."""
    return f"p={p:.2g}" if p >= 0.001 else "p<0.001"


def t_within(t: float, degrees: int) -> float:
    """Probability that Student's t of so many degrees of freedom is no further from zero than ``t``.

    A finite sum of positive terms, exact for whole degrees. Source: Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """
    angle = math.atan2(abs(t), math.sqrt(degrees))
    cosine_squared = math.cos(angle) ** 2
    odd = degrees % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0 if degrees == 1 else term
    for factor in range(2 + odd, degrees - 1, 2):
        term *= cosine_squared * (factor - 1) / factor
        total += term
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total


def t_quantile(probability: float, degrees: int) -> float:
    """The t that `t_within` gives this probability, by bisection to the last bit; 0 < probability < 1."""
    low, high = 0.0, 1.0
    while t_within(high, degrees) < probability:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if t_within(middle, degrees) < probability else (low, middle)
    return high
