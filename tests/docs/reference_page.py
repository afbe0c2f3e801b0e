"""Writes the measured parts of docs/reference-results.md and README.md from results/reference.

    python -m tests.docs.reference_page

Each stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``; what is around them is written by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from noisebench.analysis.published import FILE, read_published
from noisebench.analysis.published_order import order_text, published_order
from noisebench.analysis.robustness import robustness
from noisebench.analysis.run_groups import noise_order
from noisebench.analysis.statistics import summarise
from noisebench.analysis.table_formats import to_markdown
from noisebench.analysis.tables import distinct, overviews
from noisebench.analysis.text import percent, pipe_table
from noisebench.bench.record import RunRecord
from noisebench.bench.store import all_runs

REPOSITORY = Path(__file__).resolve().parents[2]
REFERENCE = REPOSITORY / "results" / "reference"
PAGE = REPOSITORY / "docs" / "reference-results.md"
README = REPOSITORY / "README.md"
TEST_SET = "synth_unseen"
IN_README = (
    *("softmax", "arcface", "subcenter_arcface", "robustface"),
    *("boundaryface", "boundaryf1", "noise_tolerant_short"),
)


def page(text: str) -> str:
    """The page with its measured parts made anew.

    Args:
        text: The page as it is.
    """
    records = _records()
    numbers = read_published(REPOSITORY / "results" / FILE)
    parts = {
        "cost": _cost(records),
        "accuracy": to_markdown(overviews(records, TEST_SET)),
        "robustness": to_markdown(robustness(records, TEST_SET)),
        "order": order_text(published_order(records, numbers)),
    }
    for name, part in parts.items():
        text = _with_part(text, name, part.replace("## ", "### "))
    return text


def readme(text: str) -> str:
    """The README with the accuracies of a few methods made anew.

    Args:
        text: The README as it is.
    """
    records = [record for record in _records() if record.method in IN_README]
    noises = distinct(record.noise for record in records)
    values: dict[tuple[str, str], list[float]] = {}
    for record in records:
        accuracy = record.metrics[TEST_SET].accuracy
        assert accuracy is not None
        values.setdefault((record.method, record.noise), []).append(accuracy)
    rows = [[method, *(_mean(values[method, noise]) for noise in noises)] for method in IN_README]
    return _with_part(text, "reference", "\n".join(pipe_table([[f"{TEST_SET} accuracy", *noises], *rows])))


def _mean(accuracies: Sequence[float]) -> str:
    mean, deviation, _ = summarise(accuracies)
    assert deviation is not None
    return f"{percent(mean)} ± {percent(deviation)}"


def _records() -> list[RunRecord]:
    return [run.record for run in sorted(all_runs(REFERENCE), key=noise_order)]


def _with_part(text: str, name: str, part: str) -> str:
    before, begin, rest = text.partition(f"<!-- begin {name} -->\n")
    _, end, after = rest.partition(f"<!-- end {name} -->")
    assert end, f"there is no part '{name}'"
    return f"{before}{begin}\n{part.strip()}\n\n{end}{after}"


def _cost(records: Sequence[RunRecord]) -> str:
    """How many runs there are, and what they took."""
    hours = sum(sum(record.timings.values()) for record in records) / 3600
    seeds = distinct(str(record.seed) for record in records)
    environments = [record.environment for record in records if record.environment is not None]
    made = distinct(
        f"Python {one.python}, torch {one.torch}, {one.device}, {one.threads} thread a run" for one in environments
    )
    methods, noises = (distinct(names) for names in zip(*((run.method, run.noise) for run in records), strict=True))
    return (
        f"{len(records)} runs: {len(methods)} methods, {len(noises)} noises, seed{'s' if len(seeds) > 1 else ''} "
        f"{', '.join(seeds)}; {hours:.1f} hours of runs, {'; '.join(made)}."
    )


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")
