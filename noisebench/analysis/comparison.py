"""Two runs, or two methods, side by side: what differs in their settings, and whether their results can be told apart.

Runs are compared where suite, data set and noise are the same. Two single runs of different noises are compared, too:
then the manifest is among the differences that are named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noisebench.analysis.comparable import differing_conditions, protocol_of, refuse_mixed
from noisebench.analysis.statistics import Paired, Summary, holm, in_words, paired, summarise, verdict
from noisebench.analysis.tables import code_in_words, distinct, group, values_of
from noisebench.analysis.text import flat, percent, pipe_table, signed_percent
from noisebench.analysis.whole_run import open_run
from noisebench.bench.record import RECORD_FILE, RunRecord
from noisebench.bench.store import all_runs
from noisebench.errors import UserError, did_you_mean

ABSENT = "–"
OTHER_TEST_SET = "another test set or protocol"


@dataclass(frozen=True)
class Line:
    """One metric on one test set; the difference is that of the second less the first."""

    test_set: str
    metric: str
    first: Summary
    second: Summary
    test: Paired
    same_test_set: bool


@dataclass(frozen=True)
class Comparison:
    """Two sides under one noise.

    Attributes:
        where: Suite, data set and noise.
        settings: What differs in the configuration: (key, first, second).
        conditions: What else differs that has a hand in the results.
        codes: Which noisebench made the runs, where it is not the same.
        lines: The metrics both sides have.
    """

    where: str
    settings: tuple[tuple[str, str, str], ...]
    conditions: tuple[str, ...]
    codes: tuple[str, ...]
    lines: tuple[Line, ...]


def find(name: str, results: Path) -> list[RunRecord]:
    """The runs that a side of a comparison is: a run's folder, the folder of a method's runs, or a method by name.

    Raises:
        UserError: It is none of them, or none of its runs is done.
    """
    folder = Path(name)
    if (folder / RECORD_FILE).is_file():
        runs = [open_run(folder)]
    elif folder.is_dir() and (folders := sorted(path.parent for path in folder.glob(f"*/{RECORD_FILE}"))):
        runs = [open_run(path) for path in folders]
    else:
        every = all_runs(results)
        runs = [run for run in every if run.record.method == name]
        if not runs:
            known = {run.record.method for run in every}
            raise UserError(
                f"'{name}' is neither the folder of a run nor a method with runs in {results}: "
                f"{did_you_mean(name, known)}"
            )
    done = [run.record for run in runs if run.record.status == "done"]
    if not done:
        raise UserError(f"none of the runs of '{name}' is done, so there is nothing to compare")
    return done


def compare(first: Sequence[RunRecord], second: Sequence[RunRecord]) -> list[Comparison]:
    """Compare two sides under every noise that both were run with.

    Raises:
        UserError: They have nothing in common, or the runs of one side may not be averaged (see `refuse_mixed`).
    """
    sides = [group(runs, lambda run: (run.suite, run.data.fingerprint, run.noise)) for runs in (first, second)]
    common = [key for key in sides[0] if key in sides[1]]
    pairs = [(sides[0][key], sides[1][key]) for key in common]
    if not pairs:
        if len(sides[0]) > 1 or len(sides[1]) > 1:
            places = [", ".join(distinct(_where(runs[0]) for runs in side.values())) for side in sides]
            raise UserError(f"no suite, data set and noise in common: {places[0]} against {places[1]}")
        pairs = [(next(iter(sides[0].values())), next(iter(sides[1].values())))]
    for pair in pairs:
        for runs in pair:
            refuse_mixed(runs)
    return [_compare(*pair) for pair in pairs]


def comparison_text(names: tuple[str, str], comparisons: Sequence[Comparison]) -> str:
    """The comparisons as Markdown; the tests of all of them are corrected together."""
    adjusted = _adjusted(comparisons)
    parts = [f"A: {names[0]}\nB: {names[1]}"]
    for made in comparisons:
        heading = ["test set", "metric", "A", "B", "B - A", "95 % interval", "paired t", "sign flips", "B is"]
        rows = [_row(line, adjusted.get(id(line))) for line in made.lines]
        settings = pipe_table([["setting", "A", "B"], *map(list, made.settings)]) if made.settings else []
        blocks = [
            [f"## {made.where}"],
            settings or ["The configurations are the same."],
            _warning(made),
            pipe_table([heading, *rows]) if rows else ["They have no metric in common."],
        ]
        parts.append("\n\n".join("\n".join(block) for block in blocks if block))
    if adjusted:
        parts.append(f"Per cent; p in the last column after Holm's correction over the {len(adjusted)} comparisons.")
    return "\n\n".join(parts) + "\n"


def comparison_content(names: tuple[str, str], comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The same for scripts, for `noisebench.analysis.plain.to_json`: fractions in 0..1, differences of B less A."""
    adjusted = _adjusted(comparisons)
    return {
        "a": names[0],
        "b": names[1],
        "comparisons": [
            {
                "where": made.where,
                "settings": [{"setting": key, "a": first, "b": second} for key, first, second in made.settings],
                "conditions": made.conditions,
                "codes": made.codes,
                "metrics": [_metric(line, adjusted.get(id(line))) for line in made.lines],
            }
            for made in comparisons
        ],
    }


def _adjusted(comparisons: Sequence[Comparison]) -> dict[int, float]:
    """The p-values of all lines that can be tested after Holm's correction, by the line's id."""
    raw = {id(line): line.test.p for made in comparisons for line in made.lines if line.same_test_set}
    tested = {key: p for key, p in raw.items() if p is not None}
    return dict(zip(tested, holm(list(tested.values())), strict=True))


def _metric(line: Line, adjusted_p: float | None) -> dict[str, Any]:
    start = {"test_set": line.test_set, "metric": line.metric, "a": line.first, "b": line.second}
    if not line.same_test_set:
        return start | {"test": None, "verdict": OTHER_TEST_SET}
    return start | {"test": line.test, "p_holm": adjusted_p, "verdict": verdict(line.test, adjusted_p)}


def _warning(made: Comparison) -> list[str]:
    if not made.conditions:
        return []
    codes = f" ({' against '.join(made.codes)})" if made.codes else ""
    return [
        f"These differ, too, so no difference below is due to the settings alone: {', '.join(made.conditions)}{codes}."
    ]


def _compare(first: Sequence[RunRecord], second: Sequence[RunRecord]) -> Comparison:
    settings = [flat(runs[0].config) for runs in (first, second)]
    keys = [key for key in distinct([*settings[0], *settings[1]]) if settings[0].get(key) != settings[1].get(key)]
    codes = distinct(code_in_words(run) for run in (*first, *second))
    places = distinct([_where(first[0]), _where(second[0])])
    in_settings = ("backbone", "training settings")  # these are told key by key
    return Comparison(
        where=" against ".join(places),
        settings=tuple((key, settings[0].get(key, ABSENT), settings[1].get(key, ABSENT)) for key in keys),
        conditions=tuple(what for what in differing_conditions(first, second) if what not in in_settings),
        codes=codes if len(codes) > 1 else (),
        lines=tuple(_lines(first, second)),
    )


def _lines(first: Sequence[RunRecord], second: Sequence[RunRecord]) -> Iterable[Line]:
    names = [distinct(name for run in runs for name in run.metrics) for runs in (first, second)]
    for test_set in [name for name in names[0] if name in names[1]]:
        results = [
            {run.seed: run.metrics[test_set] for run in runs if test_set in run.metrics} for runs in (first, second)
        ]
        sorts = {(result.sha256, protocol_of(result)) for side in results for result in side.values()}
        metrics = distinct(metric for side in results for result in side.values() for metric in values_of(result))
        for metric in metrics:
            ours, theirs = (
                {seed: values_of(result)[metric] for seed, result in side.items() if metric in values_of(result)}
                for side in results
            )
            if ours and theirs:
                test = paired(theirs, ours)
                yield Line(
                    test_set, metric, summarise(ours.values()), summarise(theirs.values()), test, len(sorts) == 1
                )


def _row(line: Line, adjusted_p: float | None) -> list[str]:
    start = [line.test_set, line.metric, _mean(line.first), _mean(line.second)]
    if not line.same_test_set:
        return [*start, *[ABSENT] * 4, OTHER_TEST_SET]
    test = line.test
    return [
        *start,
        signed_percent(test.difference.mean) if test.difference is not None else ABSENT,
        f"{signed_percent(test.interval.low)} to {signed_percent(test.interval.high)}"
        if test.interval is not None
        else ABSENT,
        *(in_words(p) if p is not None else ABSENT for p in (test.p, test.p_exact)),
        verdict(test, adjusted_p),
    ]


def _mean(summary: Summary) -> str:
    deviation = f" ± {percent(summary.std)}" if summary.std is not None else ""
    return f"{percent(summary.mean)}{deviation} (n={summary.n})"


def _where(run: RunRecord) -> str:
    return f"{run.suite}, {run.data.name}, {run.noise}"
