"""What runs came to, in files: tables under ``tables/`` and figures under ``figures/`` of a results folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from noisebench.analysis.drawings import file_name, of_results
from noisebench.analysis.figures import angle_distributions, write_figure
from noisebench.analysis.published import PublishedNumber, find_published, read_published
from noisebench.analysis.robustness import robustness
from noisebench.analysis.run_groups import group_runs, noise_order
from noisebench.analysis.statistics import IntervalKind
from noisebench.analysis.table_formats import FORMATS
from noisebench.analysis.tables import Table, comparisons, overviews, with_interval
from noisebench.bench.record import RunRecord
from noisebench.bench.store import Run
from noisebench.errors import UserError, did_you_mean
from noisebench.files import write_text

BY = ("testset", "noise")


@dataclass(frozen=True, kw_only=True)
class TableChoice:
    """Which tables to make of runs, and how.

    Attributes:
        by: "testset" for methods against test sets, "noise" for methods against noises; None for both.
        test_set: The only test set to tell of.
        format: How they are printed; files are written in every format.
        published: Whether published numbers stand below ours.
        baseline: The method to test against, instead of the best of each column.
        allow_mixed: Average even what differs in code or manifest; then nothing is tested.
        interval: "t" or "bootstrap" for a 95 % interval beside each mean; None for the standard deviation.
    """

    by: str | None = None
    test_set: str | None = None
    format: str = "markdown"
    published: bool = True
    baseline: str | None = None
    allow_mixed: bool = False
    interval: IntervalKind | None = None


EVERYTHING = TableChoice()


def write_outcome(runs: Sequence[Run], results: Path, refused: Callable[[UserError], None] | None = None) -> str:
    """Write the tables and figures of a bench's runs; give the tables, and the files' places, as text.

    ``refused`` is as for `write_tables`.
    """
    tables = write_tables(runs, results, refused=refused)
    figures = [path for path in write_figures(runs, results) if path.suffix == ".png"]
    return tables + "".join(f"\nwrote {path}" for path in figures)


def write_tables(
    runs: Sequence[Run],
    results: Path,
    choice: TableChoice = EVERYTHING,
    refused: Callable[[UserError], None] | None = None,
) -> str:
    """Write a table for each suite, data set and noise as Markdown, CSV, LaTeX and JSON; give them as text.

    Where there is more than one noise, a table of methods against noises follows for each test set, and one of how
    much the methods lose to noise.

    Args:
        runs: What to tell of.
        results: Folder to write ``tables/`` into.
        choice: Which tables.
        refused: Is told why a table could not be made, and the others are made all the same; None raises it.

    Raises:
        UserError: A name in ``choice`` is unknown, or runs differ in what a table may not average over (see
            `noisebench.analysis.comparable`).
    """
    _check(choice, runs)
    path = find_published(results) if choice.published else None
    published = read_published(path) if path is not None else []
    shown: list[Table] = []
    num_refused = 0
    for group in group_runs(sorted(runs, key=noise_order)):
        folder = results / "tables" / _data_name(group)
        for name, make in _tables_of([_narrowed(run.record, choice) for run in group], choice, published):
            try:
                tables = [with_interval(table, choice.interval) for table in make()]
            except UserError as error:
                if refused is None:
                    raise
                refused(error)
                num_refused += 1
                continue
            for ending, write in FORMATS.values():
                write_text(folder / f"{file_name(name)}{ending}", write(tables))
            shown += tables
    if not shown and not num_refused:
        raise UserError("no run is done, so there are no test sets to make such tables of")
    return FORMATS[choice.format][1](shown)


def write_figures(runs: Sequence[Run], results: Path) -> list[Path]:
    """Draw the angles of each noise, the accuracy by method and what is left as noise grows; give the files written."""
    written: list[Path] = []
    for group in group_runs(sorted(runs, key=noise_order)):
        done = [run for run in group if run.record.status == "done"]
        folder = results / "figures" / _data_name(group)
        for noise in dict.fromkeys(run.record.noise for run in done):
            first_seeds = {run.record.method: run for run in reversed(done) if run.record.noise == noise}
            folders = {method: run.folder for method, run in reversed(first_seeds.items())}
            manifest = next(iter(first_seeds.values())).manifest()
            written += write_figure(angle_distributions(folders, manifest), folder / file_name("angles", noise))
        if done:
            records = [run.record for run in done]
            for drawing in of_results(records, comparisons(records, allow_mixed=True)):
                with contextlib.suppress(UserError):  # where runs are mixed, which their table has told
                    written += write_figure(drawing.draw(), folder / drawing.name)
    return written


def _tables_of(
    records: list[RunRecord], choice: TableChoice, published: list[PublishedNumber]
) -> Iterator[tuple[str, Callable[[], list[Table]]]]:
    """The tables to make of the runs of one suite and data set: name of the file, and how to make what it holds."""
    noises = _distinct(record.noise for record in records)
    if choice.by != "noise":
        for noise in noises:
            part = [record for record in records if record.noise == noise]
            yield noise, partial(_by_test_set, part, choice, published)
    if choice.by == "noise" or (choice.by is None and len(noises) > 1):
        for test_set in _distinct(name for record in records for name in record.metrics):
            yield f"all-{test_set}", partial(_by_noise, records, test_set, choice, published)


def _by_test_set(records: list[RunRecord], choice: TableChoice, published: list[PublishedNumber]) -> list[Table]:
    return comparisons(records, allow_mixed=choice.allow_mixed, baseline=choice.baseline, published=published)


def _by_noise(
    records: list[RunRecord], test_set: str, choice: TableChoice, published: list[PublishedNumber]
) -> list[Table]:
    mixed, baseline = choice.allow_mixed, choice.baseline
    tables = overviews(records, test_set, allow_mixed=mixed, baseline=baseline, published=published)
    return tables + robustness(records, test_set, allow_mixed=mixed, baseline=baseline)


def _check(choice: TableChoice, runs: Sequence[Run]) -> None:
    named = {
        "--by": (choice.by, BY),
        "--format": (choice.format, FORMATS),
        "--baseline": (choice.baseline, {run.record.method for run in runs}),
        "--test-set": (choice.test_set, {name for run in runs for name in run.record.metrics}),
    }
    for option, (name, known) in named.items():
        if name is not None and name not in known:
            raise UserError(f"{option} '{name}' is unknown: {did_you_mean(name, known)}")


def _narrowed(record: RunRecord, choice: TableChoice) -> RunRecord:
    """The record with the results on the chosen test set alone."""
    if choice.test_set is None:
        return record
    kept = {name: result for name, result in record.metrics.items() if name == choice.test_set}
    return record.model_copy(update={"metrics": kept})


def _data_name(group: list[Run]) -> str:
    record = group[0].record
    return file_name(record.suite, record.data.name)


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
