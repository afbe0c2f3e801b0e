"""What runs came to, in files: tables under ``tables/`` and figures under ``figures/`` of a results folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from noisebench.analysis.figures import accuracy_by_method, angle_distributions, write_figure
from noisebench.analysis.tables import Table, comparisons, overviews, to_markdown, write_csv, write_markdown
from noisebench.bench.store import Run


def write_outcome(runs: Sequence[Run], results: Path) -> str:
    """Write the tables and figures of a bench's runs; give the tables, and the files' places, as text."""
    tables = write_tables(runs, results)
    figures = [path for path in write_figures(runs, results) if path.suffix == ".png"]
    return tables + "".join(f"\nwrote {path}" for path in figures)


def write_tables(runs: Sequence[Run], results: Path, *, allow_mixed: bool = False) -> str:
    """Write a table for each suite, data set and noise as Markdown and CSV; give them as text.

    Where there is more than one noise, a table of methods against noises follows for each test set.

    Raises:
        UserError: Runs differ in what a table may not average over (see `noisebench.analysis.comparable`).
    """
    shown: list[str] = []
    for group in _by_data(runs):
        records = [run.record for run in group]
        folder = results / "tables" / _data_name(group)
        for table in comparisons(records, allow_mixed=allow_mixed):
            _write(table.noises[0], [table], folder, shown)
        if len({record.noise for record in records}) > 1:
            for test_set in dict.fromkeys(name for record in records for name in record.metrics):
                _write(f"all-{test_set}", overviews(records, test_set, allow_mixed=allow_mixed), folder, shown)
    return "\n".join(shown)


def write_figures(runs: Sequence[Run], results: Path) -> list[Path]:
    """Draw the angle distributions of each noise, and the accuracy by method; give the files written."""
    written: list[Path] = []
    for group in _by_data(runs):
        done = [run for run in group if run.record.status == "done"]
        folder = results / "figures" / _data_name(group)
        for noise in dict.fromkeys(run.record.noise for run in done):
            first_seeds = {run.record.method: run for run in reversed(done) if run.record.noise == noise}
            folders = {method: run.folder for method, run in reversed(first_seeds.items())}
            manifest = next(iter(first_seeds.values())).manifest()
            written += write_figure(angle_distributions(folders, manifest), folder / f"angles-{noise}")
        if done:
            tables = comparisons([run.record for run in done], allow_mixed=True)
            written += write_figure(accuracy_by_method(tables), folder / "accuracy")
    return written


def _write(name: str, tables: list[Table], folder: Path, shown: list[str]) -> None:
    write_markdown(tables, folder / f"{name}.md")
    write_csv(tables, folder / f"{name}.csv")
    shown.append(to_markdown(tables))


def _by_data(runs: Sequence[Run]) -> list[list[Run]]:
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.record.suite, run.record.data.fingerprint), []).append(run)
    return list(groups.values())


def _data_name(group: list[Run]) -> str:
    record = group[0].record
    return f"{record.suite}-{record.data.name}"
