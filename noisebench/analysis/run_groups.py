"""The runs of a results folder as figures and reports take them: by data set, by method, with their analyses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from noisebench.analysis.comparable import refuse_mixed
from noisebench.analysis.run_tables import RunTables, tables_of
from noisebench.analysis.sample_ranking import images_of
from noisebench.analysis.tables import rates_of
from noisebench.analysis.whole_run import Images
from noisebench.bench.store import Run
from noisebench.errors import UserError

NUM_CLASSES, NUM_SHARPNESS = 50, 2000
"""Of how many classes clean samples are embedded, and how many images are measured for blur, to draw a run."""
Tell = Callable[[str], None]
"""Is told, in a line each, what could not be shown."""


@dataclass(frozen=True)
class Logged:
    """A finished run with a sample log, and what its analysis found."""

    run: Run
    tables: RunTables


def noise_order(run: Run) -> tuple[int, float, str]:
    """Sorts runs by their noise: clean, closed-set, open-set, both; the least first."""
    closed, open_ = rates_of(run.record)
    return (closed > 0) + 2 * (open_ > 0), closed + open_, run.record.noise


def group_runs(runs: Iterable[Run]) -> list[list[Run]]:
    """Runs of one suite and data set together."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.record.suite, run.record.data.fingerprint), []).append(run)
    return list(groups.values())


def clean_runs(runs: Iterable[Run]) -> list[Run]:
    """Those on clean labels."""
    return [run for run in runs if rates_of(run.record).total == 0]


def by_method(runs: Iterable[Run], tell: Tell) -> dict[str, list[Run]]:
    """The finished runs of each method under one noise that may be averaged; others are told and left out.

    Runs of another manifest than the first one's are left out, too: one figure is of one noise.
    """
    chosen: dict[str, list[Run]] = {}
    checksum = None
    for run in runs:
        if run.record.status != "done":
            continue
        if checksum not in (None, run.record.manifest_checksum):
            tell(f"{name_of(run)} is left out of the curves: it was trained with another manifest")
            continue
        same = chosen.setdefault(run.record.method, [])
        try:
            refuse_mixed([other.record for other in (*same, run)])
        except UserError as error:
            tell(f"{name_of(run)} is left out of the curves: {error}")
            continue
        checksum = run.record.manifest_checksum
        same.append(run)
    return chosen


def with_tables(runs: Mapping[str, Sequence[Run]], tell: Tell, *, with_images: bool = False) -> dict[str, list[Logged]]:
    """The runs with what their analysis finds; what has no log is told and left out.

    Args:
        runs: Of `by_method`.
        tell: Is told what is left out.
        with_images: Whether the images of each method's first run are looked at, where they still are.
    """
    found: dict[str, list[Logged]] = {}
    several = [(method, run, not place) for method, same in runs.items() for place, run in enumerate(same)]
    for method, run, is_first in tqdm(several, desc="analyse runs", delay=2, disable=None):
        try:
            tables = _tables_of(run, with_images=with_images and is_first)
        except UserError as error:
            tell(f"{name_of(run)}: {error}")
            continue
        found.setdefault(method, []).append(Logged(run, tables))
    return found


def name_of(run: Run) -> str:
    """A run as printed."""
    return f"{run.record.method} under {run.record.noise}, seed {run.record.seed}"


def _tables_of(run: Run, *, with_images: bool) -> RunTables:
    """The tables of a run; without those that need the images, where these are no longer to be had."""
    if with_images:
        with contextlib.suppress(UserError):
            return tables_of(run, Images(*images_of(run), num_classes=NUM_CLASSES, num_sharpness=NUM_SHARPNESS))
    return tables_of(run)
