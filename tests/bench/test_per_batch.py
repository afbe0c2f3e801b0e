"""Planning runs under noise by batch: rule and seed are in no row of the manifest, and still tell runs apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from noisebench.bench.cell import Cell
from noisebench.bench.plan import plan
from noisebench.bench.request import Request
from noisebench.bench.store import Run
from noisebench.errors import UserError
from tests.tiny import write_faces, write_suite

RULE = "per_batch: {closed: 0.25, open: 0.2}"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    write_faces(folder / "faces")
    write_suite(folder)
    return folder


def planned(tiny: Path, folder: Path, rule: str, *, noise_seed: int = 0, said: list[str] | None = None) -> Cell:
    """The only cell of a bench under a rule; both rule and noise seed stand in files of the same names each time."""
    (folder / "mine.yaml").write_text(rule, encoding="utf-8")
    suite = (tiny / "tiny.yaml").read_text(encoding="utf-8") + f"noise_seed: {noise_seed}\n"
    (folder / "tiny.yaml").write_text(suite, encoding="utf-8")
    request = Request(
        suite=str(folder / "tiny.yaml"),
        noise=(str(folder / "mine.yaml"),),
        methods=("softmax",),
        data=tiny / "faces",
        results=folder / "results",
    )
    (cell,) = plan(request, say=(said if said is not None else []).append)
    return cell


def test_rule_and_noise_seed_make_other_runs_with_manifests_of_their_own(tiny: Path, tmp_path: Path) -> None:
    cells = [
        planned(tiny, tmp_path, RULE),
        planned(tiny, tmp_path, "per_batch: {closed: 0.5, open: 0.2}"),
        planned(tiny, tmp_path, "per_batch: {closed: 0.25, open: 0.2, batch_size: 6}"),
        planned(tiny, tmp_path, RULE, noise_seed=1),
    ]
    assert len({cell.record.manifest_checksum for cell in cells}) == 1
    assert len({cell.record.hash for cell in cells}) == len(cells)
    rules = []
    for cell in cells:
        manifest = Run(cell.folder, cell.record).manifest()
        assert manifest.origin.recipe.per_batch is not None
        rules.append((str(manifest.origin.recipe.per_batch.closed), manifest.origin.seed))
    assert rules == [("0.25", 0), ("0.5", 0), ("0.25", 0), ("0.25", 1)]
    assert planned(tiny, tmp_path, RULE).folder == cells[0].folder


def test_the_counts_of_a_batch_are_told_and_recorded(tiny: Path, tmp_path: Path) -> None:
    said: list[str] = []
    cell = planned(tiny, tmp_path, RULE, said=said)
    counts = "25.00% closed-set (3 of 12 images) and 16.67% open-set (2 of 12 images)"
    assert said == [f"mine: by batch, not a property of the sample: {counts}"]
    assert cell.record.noise_per_batch is not None
    assert cell.record.noise_per_batch.model_dump() == {"batch_size": 12, "closed": 3, "open": 2, "seed": 0}


def test_a_batch_too_small_for_any_noise_is_refused_before_anything_is_written(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="hits no image in a batch of 12"):
        planned(tiny, tmp_path, "per_batch: {closed: 0.08, open: 0.08}")
    assert not (tmp_path / "results").exists()
