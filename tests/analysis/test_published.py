"""Published numbers: the file that is shipped, and which of them may stand beside which of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

import noisebench
from noisebench.analysis.published import (
    FIELDS,
    PublishedNumber,
    Rates,
    beside,
    find_published,
    read_published,
)
from noisebench.analysis.significance import Column
from noisebench.errors import FileError

SHIPPED = Path(__file__).parents[2] / "results" / "published.csv"
CLOSED20 = Rates(0.2, 0.0)
LFW = Column("closed20", "lfw", "accuracy")
AGEDB = Column("closed20", "agedb_30", "accuracy")


def number(**changes: str) -> PublishedNumber:
    fields = dict.fromkeys(FIELDS, "") | {
        "method": "ArcFace",
        "backbone": "R50",
        "train_data": "CASIA-WebFace (synthetic noise)",
        "noise_closed": "20%",
        "testset": "LFW",
        "metric": "verification accuracy (%)",
        "value": "98.5",
        "source": "a:1",
    }
    return PublishedNumber(**(fields | changes))


def test_the_shipped_file_reads_and_has_its_defects_marked() -> None:
    numbers = read_published(SHIPPED)
    assert len(numbers) == 1885
    assert all(found.source for found in numbers)
    by_place = {(found.source, found.testset): found for found in numbers}
    mean = by_place["RobustFace README.md@e55da87:125", "AVG"]
    columns = [by_place[mean.source, name] for name in ("LFW", "CALFW", "AgeDB", "CFP-FP", "CPLFW")]
    assert f"which is {sum(float(found.value) for found in columns) / 5:.2f}" in mean.remark
    assert "unexplained" in by_place["RobustFace README.md@e55da87:130", "LFW"].remark
    assert "selected by the mean over all test sets" in by_place["BoundaryFace README.md@122b0a1:129", "LFW"].remark
    assert all("lower bound" in found.remark for found in numbers if found.value.endswith("+"))


def test_the_published_table_of_boundaryface_stands_beside_closed20() -> None:
    rows = beside(read_published(SHIPPED), ["arcface", "boundaryface"], [LFW, AGEDB], {"closed20": CLOSED20}, "mine")
    assert [row.method for row in rows] == ["ArcFace", "BoundaryFace（λ=π）"]
    assert {tuple(row.cells) for row in rows} == {(LFW, AGEDB)}
    assert rows[0].sources == {"closed20": "BoundaryFace README.md@122b0a1:139"}
    assert "Res50-IR" in rows[0].footnote


@pytest.mark.parametrize(
    ("printed", "ours"),
    [
        ("ArcFace [table m=0.3]", "arcface"),
        ("Arcface (PartialFC sample rate 1.0)", "arcface"),
        ("BoundaryFace（λ=π） [table m=0.5]", "boundaryface"),
        ("The Proposed", "robustface"),
        ("Ours", "robustface"),
        ("Ours (InsightFace/ArcFace)", "arcface"),
        ("MV-Arc-Softmax", "mv_arc"),
        ("Sub-center ArcFace K=3", "subcenter_arcface"),
        ("CNN_m1 (Noise-Tolerant, method 1) + L2softmax", "noise_tolerant"),
        ("CNN_common (no handling) + Arcface", "arcface"),
        ("Sub-center ArcFace K=3->1, drop > 75 deg", "subcenterarcfacek31drop75deg"),
    ],
)
def test_names(printed: str, ours: str) -> None:
    assert number(method=printed).our_method == ours


@pytest.mark.parametrize(
    ("printed", "ours"),
    [
        ("verification accuracy (fraction)", "accuracy"),
        ("1:1 TAR@FAR=0.01% (%)", "TAR@FAR=0.0001"),
        ("1:1 TPR@FPR=1e-4 (%)", "TAR@FAR=0.0001"),
        ("1:1 TAR@FAR=1E-4 (%)", "TAR@FAR=0.0001"),
        ("1:1 TAR@FAR=1e-3 (%)", "TAR@FAR=0.001"),
        ('TPIR@FPIR=1% (%) ["1%" column]', "TPIR@FPIR=0.01"),
        ("rank-1 identification, 1M distractors (%)", "rank-1"),
        ("TPR@FAR=1e-4 (%)", "TAR@FAR=0.0001"),
        ("as printed (%)", None),
    ],
)
def test_metrics(printed: str, ours: str | None) -> None:
    assert number(metric=printed).our_metric == ours


def test_values_are_in_per_cent() -> None:
    assert number().percent == "98.5"
    assert number(value="0.9876", metric="verification accuracy (fraction)").percent == "98.76"
    assert number(value="99.80+").percent == "99.80+"


@pytest.mark.parametrize(
    ("closed", "open_", "rates", "fits"),
    [
        ("20%", "", Rates(0.2, 0), True),
        ("20%", "", Rates(0.2004, 0), True),
        ("20%", "", Rates(0.1, 0), False),
        ("20%", "20%", Rates(0.2, 0.2), True),
        ("20%", "20%", Rates(0.2, 0), False),
        ("0%", "", Rates(0, 0), True),
        ("total 40% (split not stated)", "total 40% (split not stated)", Rates(0.2, 0.2), True),
        ("total 40% (split not stated)", "total 40% (split not stated)", Rates(0.4, 0), False),
        ("r=0.20 mixed", "r=0.20 mixed", Rates(19 / 128, 6 / 128), True),
        ("real noise (rate not stated)", "real noise (rate not stated)", Rates(0.2, 0.2), False),
    ],
)
def test_noise_fits_by_its_rates(closed: str, open_: str, rates: Rates, fits: bool) -> None:
    assert number(noise_closed=closed, noise_open=open_).has_noise(rates, "mine") is fits


@pytest.mark.parametrize(
    ("theirs", "ours", "rate", "fits"),
    [
        ("MS1MV2", "ms1mv2", 0, True),
        ("MS1MV2", "faces_emore", 0, True),
        ("MS1MV2", "faces_emore", 0.2, False),
        ("MS1MV3", "ms1mv2", 0, False),
    ],
)
def test_without_injected_noise_the_training_set_must_be_the_same(
    theirs: str, ours: str, rate: float, fits: bool
) -> None:
    assert number(noise_closed="", train_data=theirs).has_noise(Rates(rate, 0), ours) is fits


def test_one_row_an_experiment() -> None:
    rates = {"closed20": CLOSED20, "closed10": Rates(0.1, 0)}
    lfw10 = LFW._replace(noise="closed10")
    numbers = [
        number(noise_closed="10%", value="99"),
        number(source="a:2", remark="x; y"),
        number(source="b:2"),  # a newer version of the same source
        number(source="b:3", value="97"),  # another experiment of the same name
        number(testset="CALFW"),
        number(method="CosFace"),
    ]
    rows = beside(numbers, ["arcface_m03"], [lfw10, LFW], rates, "mine")
    assert [row.cells for row in rows] == [{lfw10: "99", LFW: "98.5"}, {LFW: "98.5"}, {LFW: "97"}]
    assert rows[0].sources == {"closed10": "a:1", "closed20": "a:2"}
    assert rows[0].footnote.endswith("a:1, a:2; known: x; y")
    assert [row.sources for row in beside(numbers[1:3], ["arcface"], [LFW], rates, "mine")] == [{"closed20": "b:2"}]


def test_a_faulty_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text("a,b\n")
    with pytest.raises(FileError, match="its columns are a, b: expected method, "):
        read_published(path)
    path.write_text(",".join(FIELDS) + "\n" + ",".join(number(value="high")) + "\n")
    with pytest.raises(FileError, match="line 2 is not 10 fields with a number as value"):
        read_published(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(FileError, match="cannot be read"):
        read_published(path)


def test_a_results_folder_may_have_its_own(tmp_path: Path) -> None:
    assert find_published(tmp_path) == SHIPPED
    (tmp_path / "published.csv").touch()
    assert find_published(tmp_path) == tmp_path / "published.csv"


def test_an_installed_noisebench_has_the_file_in_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "noisebench"
    (installed / "results").mkdir(parents=True)
    shipped = installed / "results" / "published.csv"
    shipped.write_text(f"{','.join(FIELDS)}\n")
    monkeypatch.setattr(noisebench, "__file__", str(installed / "__init__.py"))
    assert find_published(tmp_path / "nowhere") == shipped
    own = tmp_path / "own" / "published.csv"
    own.parent.mkdir()
    own.touch()
    assert find_published(own.parent) == own
