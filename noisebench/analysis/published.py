"""Published numbers, from ``results/published.csv``, to stand below ours in a table.

One line a number, as printed by its source; ``remark`` holds what is known to be wrong or unsaid about it. A number
stands in a table if method and test set are the table's and the noise has its rates. Numbers without injected noise
stand beside noise-free training on the set they name; there are too many others.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import noisebench
from noisebench.analysis.significance import Column
from noisebench.errors import FileError

FILE = "published.csv"
FIELDS = (
    *("method", "backbone", "train_data", "noise_closed", "noise_open"),
    *("testset", "metric", "value", "source", "remark"),
)
RATE_TOLERANCE = 0.006
"""Rates nearer than this are the same: a batch of 128 has 25 noisy images where 20 % were asked for."""
_METHODS = {
    "proposed": "robustface",  # what RobustFace's own tables call it
    "ours": "robustface",
    "oursinsightfacearcface": "arcface",
    "mvarcsoftmax": "mv_arc",
    "subcenterarcface": "subcenter_arcface",
    "subcenterarcfacek3": "subcenter_arcface",
    "normsoftmax": "softmax",
    "cnncommonl2softmax": "softmax",
    "cnncommonarcface": "arcface",
    "cnnm1l2softmax": "noise_tolerant",
    "cnnm2l2softmax": "noise_tolerant",
    "cnnm1arcface": "noise_tolerant",
    "cnnm2arcface": "noise_tolerant",
    "noisetolerant": "noise_tolerant",
    "nt": "noise_tolerant",
}
"""Our names of methods that are printed under others."""
_TEST_SETS = {"agedb": "agedb30"}
_TRAINING_SETS = {"casia": "casiawebface", "facescasia": "casiawebface", "facesemore": "ms1mv2", "vgg2": "vggface2"}


class Rates(NamedTuple):
    """Noise as shares of the training images."""

    closed: float
    open: float

    @property
    def total(self) -> float:
        """Both kinds together."""
        return self.closed + self.open


class PublishedNumber(NamedTuple):
    """A line of the file, see `FIELDS`; every field as printed."""

    method: str
    backbone: str
    train_data: str
    noise_closed: str
    noise_open: str
    testset: str
    metric: str
    value: str
    source: str
    remark: str

    @property
    def our_method(self) -> str:
        """The method as we call it, or its printed name in small letters if we do not know it."""
        name = re.sub(r"\s*[(（\[][^)）\]]*[)）\]]", "", self.method)
        key = _plain(name.removeprefix("The "))
        return _METHODS.get(_plain(self.method), _METHODS.get(key, key))

    @property
    def our_metric(self) -> str | None:
        """The metric as we call it; None for one that we do not have."""
        if self.metric.startswith("verification accuracy"):
            return "accuracy"
        rank = re.search(r"rank-\d+", self.metric)
        if rank is not None:
            return rank[0]
        rate = re.search(r"T[AP]R@F[AP]R=(\d*\.?\d+%?(?:[eE]-\d+)?)|TPIR@FPIR=(\d*\.?\d+%?)", self.metric)
        if rate is None:
            return None
        text = rate[1] or rate[2]
        share = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
        return f"{'TAR@FAR' if rate[1] else 'TPIR@FPIR'}={share:g}"

    @property
    def percent(self) -> str:
        """The value in per cent; a printed plus sign, "or more", stays."""
        number = self.value.removesuffix("+")
        return f"{100 * float(number):.2f}{self.value[len(number) :]}" if "fraction" in self.metric else self.value

    def has_noise(self, rates: Rates, training_set: str) -> bool:
        """Whether it was reached under noise of these rates, as far as the source says."""
        if not self.noise_closed and not self.noise_open:
            names = [_TRAINING_SETS.get(name, name) for name in (_plain(self.train_data), _plain(training_set))]
            return rates.total == 0 and names[0] == names[1]
        total = re.match(r"(?:total |r=)(\d+(?:\.\d+)?)(%?)", self.noise_closed)
        if total is not None:
            share = float(total[1]) / (100 if total[2] else 1)
            return abs(rates.total - share) < RATE_TOLERANCE and rates.closed > 0 and rates.open > 0
        shares = [re.match(r"(\d+(?:\.\d+)?)%", text or "0%") for text in (self.noise_closed, self.noise_open)]
        found = [float(share[1]) / 100 for share in shares if share is not None]
        return len(found) == 2 and all(
            abs(ours - theirs) < RATE_TOLERANCE for ours, theirs in zip(rates, found, strict=True)
        )


@dataclass
class PublishedRow:
    """The numbers of one published experiment.

    Attributes:
        method: As printed.
        experiment: Backbone and training set.
        cells: Per cent, as printed, by column.
        sources: Where each noise's numbers stand.
        remarks: What is known to be wrong or unsaid, each once.
    """

    method: str
    experiment: str
    cells: dict[Column, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, None] = field(default_factory=dict)

    @property
    def footnote(self) -> str:
        """Backbone, training set, source and known defects, as one line."""
        known = f"; known: {'; '.join(self.remarks)}" if self.remarks else ""
        return f"{self.experiment}; {', '.join(dict.fromkeys(self.sources.values()))}{known}"


def find_published(results: Path) -> Path | None:
    """The file of published numbers in a results folder, or else the one that noisebench ships."""
    package = Path(noisebench.__file__).parent
    shipped = (package / "results", package.parent / "results")  # installed; in a checkout, beside the package
    return next((folder / FILE for folder in (results, *shipped) if (folder / FILE).is_file()), None)


def read_published(path: Path) -> list[PublishedNumber]:
    """All published numbers, in the order of the file.

    Raises:
        FileError: It is no such file, or a value is no number.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            lines = csv.reader(stream, strict=True)
            if (header := tuple(next(lines, []))) != FIELDS:
                raise FileError(path, f"its columns are {', '.join(header)}: expected {', '.join(FIELDS)}")
            numbers = []
            for line in lines:
                if len(line) != len(FIELDS) or not _is_number(line[FIELDS.index("value")]):
                    raise FileError(path, f"line {lines.line_num} is not {len(FIELDS)} fields with a number as value")
                numbers.append(PublishedNumber(*line))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(path, f"cannot be read: {error}") from error
    return numbers


def beside(
    numbers: Sequence[PublishedNumber],
    methods: Sequence[str],
    columns: Sequence[Column],
    rates: Mapping[str, Rates],
    training_set: str,
) -> tuple[PublishedRow, ...]:
    """The published experiments that may stand below a table, in the order of the file.

    Args:
        numbers: Of `read_published`.
        methods: Those of the table. A name counts with its variants, as arcface with arcface_m03.
        columns: Those of the table.
        rates: The realised rates of its noises.
        training_set: Name of the training set.

    Returns:
        One row a line of a source; in a table of several noises, those of one experiment are one row. What a newer
        version of the same source repeats is left out.
    """
    rows: list[PublishedRow] = []
    for number in numbers:
        if not any(method == number.our_method or method.startswith(f"{number.our_method}_") for method in methods):
            continue
        for column in columns:
            if (
                column.metric == number.our_metric
                and _test_set(column.test_set) == _test_set(number.testset)
                and number.has_noise(rates[column.noise], training_set)
            ):
                _row_for(number, column, rows)
    unique = {(row.method, row.experiment, *sorted(row.cells.items())): row for row in rows}
    return tuple(unique.values())


def _row_for(number: PublishedNumber, column: Column, rows: list[PublishedRow]) -> None:
    """Put a number into the row of its experiment: no row takes two values, or two sources, for one noise."""
    experiment = f"{number.backbone} trained on {number.train_data}"
    for row in rows:
        is_its_own = (row.method, row.experiment) == (number.method, experiment)
        if is_its_own and column not in row.cells and row.sources.get(column.noise, number.source) == number.source:
            break
    else:
        row = PublishedRow(number.method, experiment)
        rows.append(row)
    row.cells[column] = number.percent
    row.sources[column.noise] = number.source
    row.remarks |= dict.fromkeys(remark for remark in number.remark.split("; ") if remark)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?\+?", text) is not None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _test_set(name: str) -> str:
    plain = _plain(name)
    return _TEST_SETS.get(plain, plain)
