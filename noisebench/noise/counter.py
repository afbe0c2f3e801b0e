"""Random numbers that need no state: SplitMix64 written out in NumPy, so its numbers never change with a version.

A sample's number is a pure function of (seed, stream, key): the same on every machine, in any order, in any shard.
``stream`` is a name that keeps the draws made for different purposes apart. Source: Steele, Lea and Flood, "Fast
splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

# Multipliers and shifts stay uint64: beside a Python integer, old and new NumPy promote differently.
_GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_HALF = np.uint64(32)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_BLOCK = 1 << 14  # numbers mixed at a time, so that they stay in the processor's cache
_ROUNDS = 6


def splitmix64(state: int, positions: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Outputs of the SplitMix64 generator started at ``state``, at these positions of its sequence (first: 0).

    One output a position, uint64 of any shape. For one state no two positions have the same output.
    """
    mixed = positions.astype(np.uint64, order="C")
    every = mixed.reshape(-1)
    for start in range(0, every.size, _BLOCK):
        _mix(state, every[start : start + _BLOCK])
    return mixed


def _mix(state: int, mixed: NDArray[np.uint64]) -> None:
    """Turn positions into outputs, in place."""
    mixed += np.uint64(1)
    mixed *= _GOLDEN_GAMMA
    mixed += np.uint64(state % 2**64)
    mixed ^= mixed >> np.uint64(30)
    mixed *= _MIX_1
    mixed ^= mixed >> np.uint64(27)
    mixed *= _MIX_2
    mixed ^= mixed >> np.uint64(31)


def bits(seed: int, stream: str, keys: NDArray[np.int64]) -> NDArray[np.uint64]:
    """64 random bits for each key, uint64 of the shape of ``keys``; different keys get different bits."""
    return splitmix64(_digest(seed, stream), keys)


def below(seed: int, stream: str, keys: NDArray[np.int64], n: int | NDArray[np.int64]) -> NDArray[np.int64]:
    """A random integer in [0, n) for each key, int64 of the shape of ``keys``.

    Args:
        seed: Seed of the draw.
        stream: Name of the draw.
        keys: Whatever numbers the samples, usually record keys.
        n: Upper bound, 1 to 2^32 - 1; one for all, or one a key. The odds of its values differ by less than n / 2^64.
    """
    bound = np.asarray(n, dtype=np.int64).astype(np.uint64)
    if bound.size and not (bound.min() >= 1 and bound.max() < 2**32):
        raise ValueError(f"n must be from 1 to 2^32 - 1, found {n}")
    random = bits(seed, stream, keys)
    # The high word of random x n, from the halves of `random`: neither product can overflow.
    product = (random & _LOW_HALF) * bound
    product >>= _HALF
    random >>= _HALF
    random *= bound
    product += random
    product >>= _HALF
    return product.astype(np.int64)


def shuffled(seed: int, stream: str, count: int) -> NDArray[np.int64]:
    """The numbers from 0 to ``count`` - 1 in a random order, int64 [count], without sorting.

    A Feistel network whose rounds look halves of a number up in tables of hashes; numbers that it carries out of the
    range are left out. Source: Luby and Rackoff, "How to construct pseudorandom permutations from pseudorandom
    functions", 1988.

    Args:
        seed: Seed of the draw.
        stream: Name of the draw.
        count: 0 to 2^30 - 1.
    """
    if not 0 <= count < 1 << 30:
        raise ValueError(f"count must be from 0 to 2^30 - 1, found {count}")
    half = max(1, (count.bit_length() + 1) // 2)
    low = (1 << half) - 1
    halves = np.arange(1 << half)
    tables = [(bits(seed, f"{stream}/{round_}", halves) & np.uint64(low)).astype(np.int64) for round_ in range(_ROUNDS)]
    order, filled = np.empty(count, dtype=np.int64), 0
    for start in range(0, 1 << 2 * half, _BLOCK):
        numbers = np.arange(start, min(start + _BLOCK, 1 << 2 * half))
        left, right = numbers >> half, numbers & low
        for table in tables:
            left, right = right, left ^ table.take(right)
        numbers = (left << half) | right
        numbers = numbers[numbers < count]
        order[filled : filled + len(numbers)] = numbers
        filled += len(numbers)
    return order


def derive_seed(seed: int, *names: str) -> int:
    """A seed of its own for each use of a run's one seed: 63 bits, as torch's and NumPy's generators take."""
    return _digest(seed, *names) >> 1


def _digest(seed: int, *names: str) -> int:
    """64 bits that depend on the seed and every name; as JSON, so that ("ab", "c") is not ("a", "bc")."""
    text = json.dumps([int(seed), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
