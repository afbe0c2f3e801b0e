"""Which of several processes that failed is the one to tell of."""

from __future__ import annotations

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from noisebench.bench.elastic import exit_code_behind


def failure(rank: int, exit_code: int, after: int) -> ProcessFailure:
    """A process that failed some seconds after a moment."""
    failed = ProcessFailure(local_rank=rank, pid=1000 + rank, exitcode=exit_code, error_file="")
    failed.timestamp = 1_800_000_000 + after
    return failed


@pytest.mark.parametrize(
    ("exit_codes", "expected"),
    [
        pytest.param([(1, 0), (-9, 0)], -9, id="killed, and the other fails for want of it"),
        pytest.param([(1, 1), (-9, 0)], -9, id="killed, and the other fails as the next second begins"),
        pytest.param([(-9, 0), (1, 4), (1, 4)], -9, id="killed, and the others fail later"),
        pytest.param([(1, 0), (-9, 30)], 1, id="said to hang, and killed for it"),
        pytest.param([(1, 0), (-15, 0)], 1, id="failed, and the other is asked to leave"),
        pytest.param([(-11, 0), (-15, 1)], -11, id="crashed, and the other is asked to leave"),
        pytest.param([(-15, 0), (-15, 0)], -15, id="all asked to leave, by somebody else"),
    ],
)
def test_the_exit_code_is_that_of_the_process_that_the_others_failed_for(
    exit_codes: list[tuple[int, int]], expected: int
) -> None:
    assert exit_code_behind([failure(rank, *given) for rank, given in enumerate(exit_codes)]) == expected
