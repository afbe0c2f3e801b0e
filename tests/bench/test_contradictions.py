"""Options that contradict each other are refused when a bench is planned, before anything of it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from noisebench.bench.plan import plan
from noisebench.bench.request import Request
from noisebench.errors import UserError
from tests.tiny import IDENTITIES, write_faces, write_suite


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("contradictions") / "faces")


def request_of(folder: Path, faces: Path, overrides: tuple[str, ...], num_processes: int = 1) -> Request:
    return Request(
        suite=str(write_suite(folder)),
        noise=("clean",),
        results=folder / "results",
        data=faces,
        overrides=overrides,
        num_processes=num_processes,
    )


@pytest.mark.parametrize(
    ("overrides", "num_processes", "told"),
    [
        (("training.accumulate=2", "head.sample_rate=0.5"), 1, "accumulate is 2 and sample_rate is 0.5"),
        (("head.mode=sharded",), IDENTITIES + 1, f"{IDENTITIES} classes do not go round"),
        (("head.mode=chunked", "head.chunk_size=7"), 1, f"chunk_size is 7, larger than the {IDENTITIES} classes"),
        (("head.mode=dense", "head.chunk_size=3"), 1, "mode 'dense' has no chunks"),
        (("training.accumulate=5",), 1, "cannot be cut into 'accumulate' 5 parts"),
        (("training.batch_size=1",), 1, "batch normalisation needs two"),
        (("training.batch_size=4", "training.sync_batchnorm=false"), 4, "batch normalisation needs two"),
    ],
)
def test_they_are_refused_up_front(
    faces: Path, tmp_path: Path, overrides: tuple[str, ...], num_processes: int, told: str
) -> None:
    if told.startswith(f"{IDENTITIES} classes"):
        overrides = (*overrides, f"training.batch_size={num_processes}")
    with pytest.raises(UserError, match=told) as refused:
        plan(request_of(tmp_path, faces, overrides, num_processes), lambda line: None)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("overrides", [("training.accumulate=2", "head.sample_rate=0.5", "head.unsampled=drift"), ()])
def test_what_agrees_is_planned(faces: Path, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    assert len(plan(request_of(tmp_path, faces, overrides), lambda line: None)) == 2
