"""Our order of methods against the published one: made-up tables and runs, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from noisebench.analysis.published import PublishedNumber
from noisebench.analysis.published_order import Pair, order_content, order_text, published_order
from noisebench.analysis.statistics import paired
from noisebench.bench.record import Code, RunRecord
from noisebench.errors import UserError
from tests.analysis.runs import metrics, record
from tests.analysis.test_published import number

CLOSED30 = {"noise_closed": "30%"}


def printed(method: str, value: str, **changes: str) -> PublishedNumber:
    return number(**({**CLOSED30, "method": method, "value": value} | changes))


def runs(method: str, *accuracies: float, **changes: Any) -> list[RunRecord]:
    return [record(method=method, seed=seed, accuracy=accuracy, **changes) for seed, accuracy in enumerate(accuracies)]


def verdicts(pairs: list[Pair]) -> list[tuple[str, str, str]]:
    return [(pair.better, pair.worse, pair.verdict) for pair in pairs]


def test_pairs_by_hand() -> None:
    numbers = [
        *(printed("ArcFace", "97.0"), printed("ArcFace", "91.0", testset="AgeDB")),
        *(printed("CosFace", "96.0"), printed("CosFace", "94.0", testset="AgeDB")),
        printed("MagFace", "96.5"),  # over the one test set that it has in common with each
        printed("AdaFace", "99.0"),  # was not run
        printed("ArcFace", "99.9", noise_closed="20%"),
    ]
    ours = runs("arcface", 0.80, 0.81, 0.82) + runs("cosface", 0.90, 0.92, 0.91) + runs("magface", 0.85, 0.79, 0.83)
    first, second, third = published_order(ours, numbers)
    assert (first.better, first.worse, first.published, first.num_test_sets) == ("cosface", "arcface", 1.0, 2)
    assert first.ours == paired({0: 0.90, 1: 0.92, 2: 0.91}, {0: 0.80, 1: 0.81, 2: 0.82})
    assert (second.better, second.worse, second.published, second.num_test_sets) == ("arcface", "magface", 0.5, 1)
    assert (third.better, third.worse, third.printed) == ("magface", "cosface", ("MagFace", "CosFace"))
    raw = [pair.ours.p for pair in (first, second, third) if pair.ours is not None and pair.ours.p is not None]
    assert first.p == 3 * raw[0]  # the least of three, after Holm
    assert first.p < 0.05
    assert [pair.verdict for pair in (first, second, third)] == [
        f"same (p={first.p:.2g})",
        "reversed, within chance",
        "reversed, within chance",
    ]
    text = order_text([first, second, third])
    assert "3 pairs: 1 same (1 beyond chance), 2 reversed (0 beyond chance)." in text
    assert text.startswith("## synth, faces, closed30\n")
    assert order_content([first])[0]["verdict"] == first.verdict


def test_only_rows_of_one_table_are_compared() -> None:
    numbers = [
        printed("ArcFace", "97.0"),
        printed("CosFace", "96.0", source="b:7"),
        printed("MagFace", "95.0", backbone="R100"),
        printed("SphereFace", "94.0", metric="1:1 TAR@FAR=1e-4 (%)"),
        *(printed("CNN_common (no handling) + L2softmax", "85.0"), printed("CNN_m1 + L2softmax", "80.0")),
        *(printed("CNN_common + Arcface", "92.0"), printed("CNN_m1 + Arcface", "95.0")),
    ]
    methods = ("arcface", "cosface", "magface", "sphereface", "softmax", "noise_tolerant")
    pairs = published_order([run for method in methods for run in runs(method, 0.9)], numbers)
    assert verdicts(pairs) == [
        ("softmax", "noise_tolerant", "equal, one seed: no test"),
        ("noise_tolerant", "arcface", "equal, one seed: no test"),
    ]


def test_what_is_equal_or_the_same_method_in_print_is_no_pair() -> None:
    numbers = [printed("BoundaryF1 (m=0.3)", "97.0"), printed("BoundaryF1 (m=0.5)", "98.0"), printed("ArcFace", "97.0")]
    pairs = published_order(runs("boundaryf1", 0.9) + runs("arcface", 0.8), numbers)
    assert [(pair.printed, pair.verdict) for pair in pairs] == [
        (("BoundaryF1 (m=0.5)", "ArcFace"), "same, one seed: no test")
    ]


def test_a_recipe_stands_for_its_method() -> None:
    config = {"method": {"name": "arcface", "options": {"margin": 0.3}}}
    numbers = [printed("ArcFace", "97.0"), printed("CosFace", "96.0")]
    ours = runs("mine", 0.9, config=config) + runs("cosface", 0.8, config={"method": {"name": "cosface"}})
    assert [(pair.better, pair.worse) for pair in published_order(ours, numbers)] == [("mine", "cosface")]


def test_a_record_whose_configuration_is_anything_goes_by_its_name() -> None:
    ours = runs("arcface", 0.9, config={"method": "?"}) + runs("cosface", 0.8, config={"method": [1]})
    (pair,) = published_order(ours, [printed("ArcFace", "97.0"), printed("CosFace", "96.0")])
    assert (pair.better, pair.order) == ("arcface", "same")


def test_a_seed_without_all_test_sets_is_left_out() -> None:
    two = {"a": metrics(0.5, None), "b": metrics(0.75, None)}
    ours = [record(method="arcface", seed=0, metrics=two), record(method="arcface", seed=1, metrics={"a": two["a"]})]
    ours += [record(method="cosface", seed=seed, metrics=two) for seed in (0, 1)]
    (pair,) = published_order(ours, [printed("ArcFace", "97.0"), printed("CosFace", "96.0")])
    assert pair.ours == paired({0: 0.625}, {0: 0.625})


def test_nothing_is_tested_across_codes() -> None:
    other = Code(version="0.1.0", sha256="b" * 64, git_commit=None, git_dirty=None)
    ours = runs("arcface", 0.9, 0.91, 0.92) + runs("cosface", 0.8, 0.81, 0.79, code=other)
    (pair,) = published_order(ours, [printed("ArcFace", "97.0"), printed("CosFace", "96.0")])
    assert (pair.ours, pair.p, pair.verdict) == (None, None, "measured under other conditions: no test")


def test_without_a_common_pair_there_is_one_clear_line() -> None:
    with pytest.raises(UserError, match="no two methods with finished runs stand"):
        published_order(runs("arcface", 0.9), [printed("ArcFace", "97.0"), printed("CosFace", "96.0")])
