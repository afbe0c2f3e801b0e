"""Writes the measured parts of docs/reference-results.md from results/reference: python -m tests.docs.reference_page.

Each stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``; what is around them is written by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from noisebench.analysis.published import FILE, read_published
from noisebench.analysis.published_order import order_text, published_order
from noisebench.analysis.robustness import robustness
from noisebench.analysis.run_groups import noise_order
from noisebench.analysis.table_formats import to_markdown
from noisebench.analysis.tables import distinct, overviews
from noisebench.bench.record import RunRecord
from noisebench.bench.store import all_runs

REPOSITORY = Path(__file__).resolve().parents[2]
REFERENCE = REPOSITORY / "results" / "reference"
PAGE = REPOSITORY / "docs" / "reference-results.md"
TEST_SET = "synth_unseen"


def page(text: str) -> str:
    """The page with its measured parts made anew.

    Args:
        text: The page as it is.
    """
    records = [run.record for run in sorted(all_runs(REFERENCE), key=noise_order)]
    numbers = read_published(REPOSITORY / "results" / FILE)
    parts = {
        "cost": _cost(records),
        "accuracy": to_markdown(overviews(records, TEST_SET)),
        "robustness": to_markdown(robustness(records, TEST_SET)),
        "order": order_text(published_order(records, numbers)),
    }
    for name, part in parts.items():
        before, begin, rest = text.partition(f"<!-- begin {name} -->\n")
        _, end, after = rest.partition(f"<!-- end {name} -->")
        assert end, f"the page has no part '{name}'"
        text = f"{before}{begin}\n{part.replace('## ', '### ').strip()}\n\n{end}{after}"
    return text


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
