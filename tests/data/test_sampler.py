"""The order of samples depends on (seed, epoch) alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebench.data.augment import flip_mask
from noisebench.data.sampler import BatchSampler
from noisebench.errors import UserError


@given(
    num_rows=st.integers(12, 200),
    share=st.integers(1, 4),
    world_size=st.sampled_from([1, 2, 3]),
    seed=st.integers(0, 2**63 - 1),
    epoch=st.integers(0, 50),
)
def test_ranks_together_see_what_one_process_sees(
    num_rows: int, share: int, world_size: int, seed: int, epoch: int
) -> None:
    batch_size = share * world_size
    alone = list(BatchSampler(num_rows=num_rows, batch_size=batch_size, seed=seed).batches(epoch))
    ranks = [
        list(
            BatchSampler(num_rows=num_rows, batch_size=batch_size, seed=seed, rank=rank, world_size=world_size).batches(
                epoch
            )
        )
        for rank in range(world_size)
    ]
    assert len(alone) == num_rows // batch_size
    for step, batch in enumerate(alone):
        np.testing.assert_array_equal(np.concatenate([parts[step] for parts in ranks]), batch)


@pytest.mark.parametrize(("world_size", "parts"), [(1, 3), (2, 3), (3, 2), (2, 1)])
def test_a_part_holds_the_same_rows_on_any_number_of_ranks(world_size: int, parts: int) -> None:
    alone = BatchSampler(num_rows=50, batch_size=12, seed=1)
    ranks = [
        BatchSampler(num_rows=50, batch_size=12, seed=1, rank=rank, world_size=world_size, parts=parts)
        for rank in range(world_size)
    ]
    for step, batch in enumerate(alone.batches(0)):
        own = [list(rank.batches(0))[step].reshape(parts, -1) for rank in ranks]
        np.testing.assert_array_equal(np.concatenate(own, axis=1).ravel(), batch)


def test_an_epoch_can_be_gone_on_with_at_any_step() -> None:
    sampler = BatchSampler(num_rows=50, batch_size=6, seed=1, rank=1, world_size=2)
    whole = list(sampler.batches(3))
    for step in range(len(whole) + 1):
        np.testing.assert_array_equal(list(sampler.batches(3, step)), whole[step:])


def test_an_epoch_holds_each_row_at_most_once_and_leaves_out_only_the_remainder() -> None:
    sampler = BatchSampler(num_rows=103, batch_size=10, seed=7)
    seen = np.concatenate(list(sampler.batches(3)))
    assert len(seen) == len(set(seen.tolist())) == 100


def test_epochs_and_seeds_differ() -> None:
    sampler, other = (BatchSampler(num_rows=1000, batch_size=10, seed=seed) for seed in (0, 1))
    assert not np.array_equal(sampler.order(0), sampler.order(1))
    assert not np.array_equal(sampler.order(0), other.order(0))


def test_global_batch_names_the_rows_of_a_step() -> None:
    sampler = BatchSampler(num_rows=50, batch_size=8, seed=1)
    np.testing.assert_array_equal(sampler.global_batch(2, 4), list(sampler.batches(2))[4])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"num_rows": 10, "batch_size": 5, "world_size": 2}, "does not divide over 2 processes"),
        ({"num_rows": 4, "batch_size": 5}, "larger than the data set of 4 images"),
    ],
)
def test_impossible_batches_are_refused(options: dict[str, int], named: str) -> None:
    with pytest.raises(UserError, match=named):
        BatchSampler(seed=0, **options)


def test_half_of_the_images_are_mirrored_and_the_draw_ignores_their_order() -> None:
    rows = np.arange(10_000)
    mask = flip_mask(3, 1, rows)
    assert abs(mask.mean() - 0.5) < 0.02  # four standard errors
    np.testing.assert_array_equal(flip_mask(3, 1, rows[::-1]), mask[::-1])
    assert not np.array_equal(flip_mask(3, 2, rows), mask)
