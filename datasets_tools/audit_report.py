"""What an audit has found, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from datasets_tools.confusion import Confusion, Spread, confusion
from noisebench.noise.manifest import Manifest


class Rates(NamedTuple):
    """How many images of one kind a manifest has.

    Attributes:
        asked: How many it asks for.
        realised: How many it has.
        rate: Their share of all images.
        by_class: Their share of a class's images.
    """

    asked: int
    realised: int
    rate: float
    by_class: Spread


@dataclass(frozen=True)
class AuditReport:
    """What an audit found. ``str(report)`` is the report to print.

    Args:
        manifest: The manifest that was audited.
        compared: What it was compared with; with nothing, the report only tells what the manifest holds.
        not_compared: A sentence for each part that could not be compared, and what it takes.
        differences: A sentence for each difference; none if the manifest is what it says.
    """

    manifest: Manifest
    compared: tuple[str, ...]
    differences: tuple[str, ...]
    not_compared: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def rates(self) -> dict[str, Rates]:
        """Counts and rates of each kind: asked, realised, and how the rate differs between classes."""
        per_class = self.manifest.images_per_class()
        class_sizes = np.sum(list(per_class.values()), axis=0)
        rates = {}
        for kind, images in per_class.items():
            shares = images[class_sizes > 0] / class_sizes[class_sizes > 0]
            asked, realised = getattr(self.manifest.origin.asked, kind), int(images.sum())
            rates[kind] = Rates(asked, realised, realised / len(self.manifest), Spread.of(shares))
        return rates

    def to_json(self) -> dict[str, Any]:
        """Everything as values that JSON can hold."""
        origin, confused = self.manifest.origin, confusion(self.manifest)
        return {
            "passed": self.passed,
            "noise": origin.recipe.name,
            "seed": origin.seed,
            "checksum": self.manifest.checksum,
            "images": len(self.manifest),
            "classes": origin.num_classes,
            "rates": {
                kind: rates._asdict() | {"by_class": rates.by_class._asdict()} for kind, rates in self.rates().items()
            },
            "confusion": _confusion_json(confused) if confused else None,
            "compared": self.compared,
            "not_compared": self.not_compared,
            "differences": self.differences,
        }

    def __str__(self) -> str:
        origin = self.manifest.origin
        lines = [
            f"noise     {origin.recipe.name}, seed {origin.seed}",
            f"checksum  {self.manifest.checksum}",
            f"images    {len(self.manifest)} of {origin.num_classes} classes",
            *([f"per batch {origin.recipe.per_batch}"] if origin.recipe.per_batch is not None else []),
            *([f"compared  with {', '.join(self.compared)}"] if self.compared else []),
            "",
            *self._table(),
            *_confusion_lines(confusion(self.manifest)),
            "",
            *(f"not compared: {part}" for part in self.not_compared),
            *(f"DIFFERS: {difference}" for difference in self.differences),
        ]
        return "\n".join([*lines, "no difference" if self.compared and self.passed else ""]).rstrip()

    def _table(self) -> list[str]:
        rows: list[tuple[str, ...]] = [("kind", "asked", "realised", "rate", "rate by class: min", "median", "max")]
        for kind, rates in self.rates().items():
            by_class = (f"{rate:.2%}" for rate in rates.by_class)
            rows.append((kind, str(rates.asked), str(rates.realised), f"{rates.rate:.4%}", *by_class))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _confusion_lines(confused: Confusion | None) -> Iterator[str]:
    if confused is None:
        return
    pairs = ", ".join(f"{pair.true_label} as {pair.label} ({pair.images})" for pair in confused.most_frequent)
    yield ""
    yield f"confused  {confused.num_pairs} pairs of classes, the most frequent: {pairs}"
    yield f"          share of a class's wrong labels that are its most frequent one: {confused.favourite}"


def _confusion_json(confused: Confusion) -> dict[str, Any]:
    return confused._asdict() | {
        "most_frequent": [pair._asdict() for pair in confused.most_frequent],
        "favourite": confused.favourite._asdict(),
    }
