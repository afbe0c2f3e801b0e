"""MegaFace's tasks against brute force, on vectors of whole numbers: similarities are exact, and many are tied."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebench.errors import UserError
from noisebench.evaluation import distractors as module
from noisebench.evaluation.distractors import (
    Distractors,
    allowed_accepts,
    genuine_pairs,
    identification_rates,
    verification_rates,
)


@given(st.integers(0, 2**32), st.integers(4, 16), st.integers(1, 60), st.integers(1, 25), st.sampled_from([8, 1 << 20]))
def test_both_tasks_equal_brute_force(seed: int, num_probes: int, num_others: int, block: int, held: int) -> None:
    random = np.random.default_rng(seed)
    probes = random.integers(-3, 4, (num_probes, 4)).astype(np.float32)
    others = random.integers(-3, 4, (num_others, 4)).astype(np.float32)
    people = random.integers(0, 3, num_probes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_FLOATS", held)
        distractors = Distractors(probes, num_others, max_rate="0.3")
        for start in range(0, num_others, block):
            distractors.add(others[start : start + block])
    assert distractors.num_seen == num_others

    scores = probes @ others.T
    tried, found = 0, dict.fromkeys(range(1, 6), 0)
    genuine = []
    for i in range(num_probes):
        for k in range(num_probes):
            if i == k or people[i] != people[k]:
                continue
            similarity = float(probes[i] @ probes[k])
            genuine += [similarity] if i < k else []
            tried += 1
            for rank in found:
                found[rank] += int((scores[k] > similarity).sum()) < rank
    assert identification_rates(probes, people, distractors) == {rank: n / tried for rank, n in found.items()}

    rates = verification_rates(probes, people, distractors, ("0.01", "0.1", "0.3"))
    impostors = np.sort(scores.ravel())[::-1]
    for rate in ("0.01", "0.1", "0.3"):
        within = [t for t in {*impostors.tolist()} if (impostors > t).sum() <= float(rate) * len(impostors)]
        if allowed_accepts(len(impostors), rate):
            assert rates[rate] == np.mean(np.array(genuine) > min(within))
        else:
            assert rate not in rates


def test_rates_are_exact_decimals() -> None:
    assert allowed_accepts(1_000_000, "1e-6") == 1
    assert allowed_accepts(999_999, "1e-6") == 0
    assert allowed_accepts(100, "0.29") == 29


def test_somebody_needs_two_images() -> None:
    with pytest.raises(UserError, match="no person has two probe images"):
        genuine_pairs(np.arange(5))


def test_without_distractors_there_is_no_threshold() -> None:
    with pytest.raises(UserError, match="there are no distractors"):
        Distractors(np.ones((2, 2), np.float32), 0).threshold("1e-6")
