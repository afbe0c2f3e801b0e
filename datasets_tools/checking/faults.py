"""What a check finds, as data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

Kind = Literal["file", "index", "gap", "layout", "record", "image", "label"]

BREAKS_THE_RECORD = ("record", "image", "label")
"""Kinds of faults that make a record unusable: a repaired set does without it."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        file: Name of the file it is in.
        byte: Where in that file; None if it has no place.
        key: Key of the record, or number of the image in a verification file; None if it is in none.
        kind: file: it cannot be used at all; index, gap, layout: files contradict each other; record: it is damaged;
            image: it cannot be decoded or has another size; label: it is none of the set's, or not that of its place.
        problem: What is wrong.
    """

    file: str
    byte: int | None
    key: int | None
    kind: Kind
    problem: str

    def __str__(self) -> str:
        place = "" if self.byte is None else f" byte {self.byte}"
        key = "" if self.key is None else f" {'image' if self.file.endswith('.bin') else 'record'} {self.key}"
        return f"{self.file}{place}{key}: {self.problem}"


class BlockResult(NamedTuple):
    """What the check of a block of records has found.

    Attributes:
        faults: Its faults.
        sums: CRC-32 of each record's payload, 0 for one that cannot be read; empty if they were not asked for.
    """

    faults: list[Fault]
    sums: list[int]

    def to_json(self) -> list[object]:
        """The result as JSON values."""
        return [[dataclasses.astuple(fault) for fault in self.faults], self.sums]


class Checker(Protocol):
    """A set that is checked block by block, in any order and by several processes."""

    @property
    def num_blocks(self) -> int:
        """How many blocks there are."""

    def check(self, block: int) -> BlockResult:
        """Check a block."""


def runs(numbers: list[int]) -> list[tuple[int, int]]:
    """The first and the last of each run of successive numbers, of ascending ones."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def named(first: int, last: int) -> str:
    """A run of records in words."""
    return f"record {first}" if first == last else f"records {first} to {last}"
