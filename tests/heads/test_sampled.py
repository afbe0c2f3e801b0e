"""Partial FC: a step uses the classes of its labels and some others, and leaves the rest as they are."""

from typing import Any

import pytest
import torch
from torch import Tensor

from noisebench import methods
from noisebench.heads.class_head import ClassHead

NUM_CLASSES, SIZE = 40, 8
NAMES = [name for name in methods.names() if issubclass(methods.find(name), ClassHead)]


def build(name: str = "arcface", num_classes: int = NUM_CLASSES, **options: Any) -> ClassHead:
    head = methods.create(name, num_classes=num_classes, embedding_size=SIZE, scale=8.0, **options)
    assert isinstance(head, ClassHead)
    head.begin_epoch(0, 1)
    return head


def batch(seed: int = 0, size: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(100 + seed)  # not that of the centres
    return torch.randn(size, SIZE, generator=generator), torch.randint(NUM_CLASSES, (size,), generator=generator)


def sample_of(head: ClassHead) -> Tensor:
    assert head.sample is not None
    return head.sample


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["dense", "chunked"])
def test_equals_a_head_of_the_sampled_classes_alone(name: str, mode: str) -> None:
    embeddings, labels = batch()
    mine, theirs = embeddings.clone().requires_grad_(), embeddings.clone().requires_grad_()
    head = build(name, mode=mode, sample_rate=0.25)
    output = head(mine, labels, torch.arange(6))
    output.loss.backward()
    sample = sample_of(head)
    alone = build(name, num_classes=len(sample))
    with torch.no_grad():
        alone.centres.copy_(head.centres[sample])
    expected = alone(theirs, torch.searchsorted(sample, labels))
    expected.loss.backward()
    torch.testing.assert_close(output.loss, expected.loss)
    torch.testing.assert_close(mine.grad, theirs.grad)
    assert head.centres.grad is not None
    torch.testing.assert_close(head.centres.grad[sample], alone.centres.grad)
    unsampled = torch.ones(NUM_CLASSES, dtype=torch.bool).index_fill(0, sample, value=False)
    assert not bool(head.centres.grad[unsampled].any())
    assert torch.equal(output.rows.nearest, sample[expected.rows.nearest])


def test_the_cosine_to_the_true_class_is_known_though_it_was_not_sampled() -> None:
    head, (embeddings, labels) = build(sample_rate=0.2), batch()
    rows = head(embeddings, labels, torch.arange(30, 36)).rows
    assert not set(range(30, 36)) <= set(sample_of(head).tolist())
    torch.testing.assert_close(rows.cosine_true, torch.cosine_similarity(embeddings, head.centres.detach()[30:36]))


def test_the_sample_holds_all_labels_and_is_drawn_anew_each_step() -> None:
    head = build(sample_rate=0.5)
    samples = []
    for seed in range(20):
        embeddings, labels = batch(seed)
        head(embeddings, labels)
        samples.append(sample_of(head))
        assert len(samples[-1]) == 20
        assert set(labels.tolist()) <= set(samples[-1].tolist())
        assert samples[-1].tolist() == sorted(set(samples[-1].tolist()))
    counts = torch.bincount(torch.cat(samples), minlength=NUM_CLASSES)
    assert counts.min() > 0
    assert counts.max() < 20


def test_the_sample_depends_on_seed_and_epoch_alone() -> None:
    def draw(seed: int, epoch: int) -> list[int]:
        head = build(sample_rate=0.5, seed=seed)
        head(*batch())  # a step before the epoch begins
        head.begin_epoch(epoch, 9)
        head(*batch())
        return sample_of(head).tolist()

    assert draw(1, 2) == draw(1, 2)
    assert draw(1, 2) != draw(1, 3)
    assert draw(1, 2) != draw(2, 2)


def test_a_batch_with_more_labels_than_the_rate_allows_uses_as_many_classes_as_it_has_samples() -> None:
    head = build(sample_rate=0.01)
    head(*batch())
    assert len(sample_of(head)) == 6
    head(*batch(size=100))
    assert len(sample_of(head)) == NUM_CLASSES


def test_evaluation_uses_all_classes() -> None:
    sampled, whole = build(sample_rate=0.1).eval(), build().eval()
    assert torch.equal(sampled(*batch()).loss, whole(*batch()).loss)


@pytest.mark.parametrize("optimizer_class", [torch.optim.SGD, torch.optim.AdamW])
def test_unsampled_centres_and_their_momentum_are_untouched(optimizer_class: type[torch.optim.Optimizer]) -> None:
    settings: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.1}
    settings |= {"momentum": 0.9} if optimizer_class is torch.optim.SGD else {}
    head = build(sample_rate=0.3)
    optimizer = optimizer_class(head.parameters(), **settings)
    head.attach(optimizer)
    touched = torch.zeros(NUM_CLASSES, dtype=torch.bool)
    for seed in range(8):
        before = head.centres.detach().clone()
        state = {k: v.clone() for k, v in optimizer.state[head.centres].items() if v.dim() == 2}
        optimizer.zero_grad()
        head(*batch(seed)).loss.backward()
        optimizer.step()
        assert head.centres.shape == (NUM_CLASSES, SIZE)
        sampled = torch.zeros(NUM_CLASSES, dtype=torch.bool).index_fill(0, sample_of(head), value=True)
        moved = (head.centres.detach() != before).any(dim=1)
        assert torch.equal(moved, sampled)
        for key, value in state.items():
            assert torch.equal(optimizer.state[head.centres][key][~sampled], value[~sampled])
        touched |= sampled
    momentum = next(v for v in optimizer.state[head.centres].values() if v.dim() == 2)
    assert torch.equal(momentum.any(dim=1), touched)


def test_steps_of_a_class_are_those_of_plain_sgd_over_the_steps_that_sampled_it() -> None:
    head = build(sample_rate=0.3)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    head.attach(optimizer)
    weight, momentum = head.centres.detach().clone(), torch.zeros(NUM_CLASSES, SIZE)
    for seed in range(8):
        optimizer.zero_grad()
        head(*batch(seed)).loss.backward()
        assert head.centres.grad is not None
        gradient = head.centres.grad.clone()
        for row in sample_of(head).tolist():
            momentum[row] = 0.9 * momentum[row] + gradient[row] + 0.1 * weight[row]
            weight[row] -= 0.1 * momentum[row]
        optimizer.step()
    torch.testing.assert_close(head.centres.detach(), weight)


def test_drift_moves_every_centre() -> None:
    head = build(sample_rate=0.3, unsampled="drift")
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    head.attach(optimizer)
    before = head.centres.detach().clone()
    head(*batch()).loss.backward()
    optimizer.step()
    assert bool((head.centres.detach() != before).any(dim=1).all())
