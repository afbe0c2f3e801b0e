"""Everything the page shows, gathered from a results folder; what cannot be read or compared is said in its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tqdm import tqdm

from noisebench import __version__, methods
from noisebench.analysis.gallery import SUBJECTS
from noisebench.analysis.published import PublishedNumber, find_published, read_published
from noisebench.analysis.run_groups import clean_runs, group_runs, noise_order
from noisebench.analysis.tables import rates_of
from noisebench.bench.record import RunRecord
from noisebench.bench.store import Run, run_folders
from noisebench.errors import FileError, UserError
from noisebench.report.leaderboard import Leaderboard, Ranked, leaderboard, ranked
from noisebench.report.pictures import Budget
from noisebench.report.sections import (
    Section,
    add_galleries,
    identities,
    named_seeds,
    of_data,
    of_noise,
    of_run,
    provenance,
)

NUM_ROWS, ROW_BYTES = 6, 30_000
"""Samples of a gallery, at most, and about how much text one takes."""


@dataclass
class DataPart:
    """A data set: what holds over all noises, then each noise."""

    section: Section
    noises: list[Section] = field(default_factory=list)


@dataclass
class MethodPart:
    """A method: its page in Markdown, or why there is none, and one run under each noise."""

    name: str
    page: str
    problem: str
    runs: list[Section] = field(default_factory=list)


@dataclass
class Report:
    """What the page shows.

    Attributes:
        made: When, UTC.
        version: Of the noisebench that made it.
        statuses: How many runs are done, failed, ...
        problems: What of the folder could not be read.
        leaderboard: All methods under all noises.
        data: A part for each suite and data set.
        methods: A part for each method.
        provenance: A row for each run.
        named_seeds: What was drawn from which seed.
        identities: What the runs read, with SHA-256s.
        num_left_out: Pictures that the budget did not suffice for.
    """

    made: str
    version: str
    statuses: dict[str, int]
    problems: list[str]
    leaderboard: Leaderboard
    data: list[DataPart] = field(default_factory=list)
    methods: list[MethodPart] = field(default_factory=list)
    provenance: list[dict[str, str]] = field(default_factory=list)
    named_seeds: list[tuple[str, dict[str, int]]] = field(default_factory=list)
    identities: list[tuple[str, str, str]] = field(default_factory=list)
    num_left_out: int = 0


def collect(results: Path, *, with_faces: bool = True) -> Report:
    """Gather what a results folder holds, analysing runs that have not been analysed yet.

    Args:
        results: The folder.
        with_faces: Whether images of faces are shown.

    Raises:
        FileError: There is no such folder.
    """
    if not results.is_dir():
        raise FileError(results, "no such folder", "name one with runs, or make some with 'noisebench bench'")
    problems: list[str] = []
    runs = _readable(results, problems)
    published = _published(results, problems)
    budget = Budget()
    groups = [(same_data, _ranked(same_data, published)) for same_data in group_runs(runs)]
    report = Report(
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        statuses=dict(Counter(run.record.status for run in runs)),
        problems=problems,
        leaderboard=leaderboard(group for _, of_noises in groups for group in of_noises),
        methods=[_method(name) for name in sorted({run.record.method for run in runs})],
        provenance=provenance(runs),
        named_seeds=named_seeds(runs),
        identities=identities(runs),
    )
    parts = {part.name: part for part in report.methods}
    for same_data, of_noises in groups:
        report.data.append(_data_part(same_data, of_noises, parts, budget, with_faces))
    report.num_left_out = budget.num_left_out
    return report


def _readable(results: Path, problems: list[str]) -> list[Run]:
    runs = []
    for folder in run_folders(results):
        try:
            runs.append(Run(folder, RunRecord.read(folder)))
        except (UserError, OSError) as error:
            problems.append(str(error))
    if not runs and not problems:
        problems.append("There are no runs yet: make some with 'noisebench bench'.")
    return sorted(runs, key=noise_order)


def _published(results: Path, problems: list[str]) -> list[PublishedNumber]:
    path = find_published(results)
    try:
        return read_published(path) if path is not None else []
    except FileError as error:
        problems.append(str(error))
        return []


def _ranked(runs: Sequence[Run], published: Sequence[PublishedNumber]) -> list[Ranked]:
    by_noise: dict[str, list[RunRecord]] = {}
    for run in runs:
        by_noise.setdefault(run.record.noise, []).append(run.record)
    return [ranked(records, published) for records in by_noise.values()]


def _data_part(
    runs: list[Run], groups: list[Ranked], parts: dict[str, MethodPart], budget: Budget, with_faces: bool
) -> DataPart:
    """A data set's part; what single runs have to show goes to the parts of their methods, after all comparisons.

    Galleries come last, for they take most: those under most noise first, so that each method has some.
    """
    part = DataPart(of_data(runs, groups, budget))
    clean = clean_runs(run for run in runs if run.record.status == "done")
    pending = []
    for group in groups:
        same_noise = [run for run in runs if run.record.noise == group.records[0].noise]
        section, logged = of_noise(same_noise, group, clean, budget, with_faces=with_faces)
        part.noises.append(section)
        pending += [found[0] for found in logged.values()]
    sections: list[tuple[Section, Run]] = []
    for one in tqdm(pending, desc=f"show runs of {part.section.title}", disable=None):
        section = of_run(one.run, one.tables, budget, with_faces=with_faces)
        section.title = f"{part.section.title}, {section.title}"
        parts[one.run.record.method].runs.append(section)
        sections.append((section, one.run))
    if with_faces:
        num_rows = _rows_that_fit(budget, len({run.record.method for _, run in sections}))
        sections.sort(key=lambda entry: rates_of(entry[1].record).total, reverse=True)
        for section, run in tqdm(sections, desc=f"galleries of {part.section.title}", disable=None):
            add_galleries(section, run, budget, num_rows)
    return part


def _rows_that_fit(budget: Budget, num_methods: int) -> int:
    """Rows of a gallery with which every method has galleries under one noise at least, of those there are."""
    return max(2, min(NUM_ROWS, budget.left // max(1, num_methods * len(SUBJECTS) * ROW_BYTES)))


def _method(name: str) -> MethodPart:
    """The page of a method; a results folder may hold runs of one that this noisebench does not have."""
    from noisebench.methods._page import page

    try:
        methods.find(name)
        text = page(name)
    except UserError as error:
        return MethodPart(name, "", str(error))
    return MethodPart(name, text.split("\n", 1)[1], "")
