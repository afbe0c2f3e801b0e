"""What two noise manifests have in common, and where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisebench.noise.manifest import KINDS, Manifest
from noisebench.noise.schema import CLEAN, COLUMNS


@dataclass(frozen=True)
class Overlap:
    """How the noise of one kind in two manifests, A and B, overlaps; all numbers count images.

    Attributes:
        only_a: Noisy in A alone.
        only_b: Noisy in B alone.
        both: Noisy in both.
        same: Of those in both, how many bear the same label and show the same image.
        nested: "equal"; "A in B" if all of A's is in B, with the same labels and images; "B in A"; else "no".
    """

    only_a: int
    only_b: int
    both: int
    same: int
    nested: str


@dataclass(frozen=True)
class ManifestDiff:
    """How manifest A differs from manifest B. ``str(diff)`` is the text to print.

    Attributes:
        metadata: The values of A and B by dotted key, where they differ.
        compared: How many records are in both; rows are compared by record key.
        only_a: How many records are in A alone.
        only_b: How many records are in B alone.
        columns: In how many of the records compared each column differs.
        overlap: By kind of noise, "closed" and "open", and for "any" of them.
    """

    metadata: Mapping[str, tuple[Any, Any]]
    compared: int
    only_a: int
    only_b: int
    columns: Mapping[str, int]
    overlap: Mapping[str, Overlap]

    @property
    def same_columns(self) -> bool:
        """Whether both train on the same images with the same labels and the same truth."""
        return not (self.only_a or self.only_b or any(self.columns.values()))

    def to_json(self) -> dict[str, Any]:
        """Everything as values that JSON can hold."""
        return {"same_columns": self.same_columns, **asdict(self)}

    def __str__(self) -> str:
        lines = [f"{key}: {a} | {b}" for key, (a, b) in self.metadata.items()] or ["metadata: equal"]
        lines += ["", f"records: {self.compared} in both, {self.only_a} only in A, {self.only_b} only in B"]
        lines += [f"column {name}: differs in {count}" for name, count in self.columns.items() if count]
        lines += ["columns: equal"] if self.same_columns else []
        rows: list[tuple[str, ...]] = [("noise", "only A", "only B", "both", "same label and image", "nested")]
        rows += [(kind, *map(str, asdict(overlap).values())) for kind, overlap in self.overlap.items()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([*lines, "", *table])


def diff(a: Manifest, b: Manifest) -> ManifestDiff:
    """Compare two manifests: what they say of themselves, their columns, and which images they make noisy."""
    rows_a, rows_b = _common_rows(a, b)
    columns_a = {name: column[rows_a] for name, column in a.columns().items()}
    columns_b = {name: column[rows_b] for name, column in b.columns().items()}
    differing = {name: columns_a[name] != columns_b[name] for name in COLUMNS}
    same = ~(differing["label"] | differing["source"] | differing["source_index"])
    noisy_a, noisy_b = columns_a["kind"], columns_b["kind"]
    noise = {"any": (noisy_a != CLEAN, noisy_b != CLEAN)}
    noise |= {name: (noisy_a == code, noisy_b == code) for code, name in enumerate(KINDS) if code != CLEAN}
    return ManifestDiff(
        metadata=dict(_differences(_flat(a), _flat(b))),
        compared=len(rows_a),
        only_a=len(a) - len(rows_a),
        only_b=len(b) - len(rows_b),
        columns={name: int(wrong.sum()) for name, wrong in differing.items()},
        overlap={name: _overlap(*in_both, same) for name, in_both in noise.items()},
    )


def _common_rows(a: Manifest, b: Manifest) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows of both manifests that are of the same records, in the same order."""
    if np.array_equal(a.index, b.index):
        return np.arange(len(a)), np.arange(len(b))
    _, rows_a, rows_b = np.intersect1d(a.index, b.index, assume_unique=True, return_indices=True)
    return rows_a, rows_b


def _overlap(in_a: NDArray[np.bool_], in_b: NDArray[np.bool_], same: NDArray[np.bool_]) -> Overlap:
    only_a, only_b = int((in_a & ~in_b).sum()), int((in_b & ~in_a).sum())
    both, agreeing = int((in_a & in_b).sum()), int((in_a & in_b & same).sum())
    nested = "no"
    if agreeing == both:
        nested = {(False, False): "equal", (False, True): "A in B", (True, False): "B in A"}.get(
            (only_a > 0, only_b > 0), "no"
        )
    return Overlap(only_a, only_b, both, agreeing, nested)


def _flat(manifest: Manifest) -> dict[str, Any]:
    return dict(_leaves(manifest.metadata().model_dump(mode="json", exclude={"recipe": {"description"}})))


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for key in dict.fromkeys([*a, *b]):
        if a.get(key) != b.get(key):
            yield key, (a.get(key), b.get(key))
