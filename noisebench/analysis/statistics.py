"""Statistics over the seeds of a method: mean, sample standard deviation and their number."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple


class Summary(NamedTuple):
    """Mean of n values and their sample standard deviation (ddof 1), which one value does not have."""

    mean: float
    std: float | None
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
