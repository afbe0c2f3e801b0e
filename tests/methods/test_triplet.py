import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head, HeadOutput
from noisebench.methods.recipe import resolve_method
from tests.heads import oracle

PULL = 64.0


def make(**options: Any) -> Head:
    return methods.create("triplet", num_classes=3, embedding_size=3, seed=5, **options)


def batch(seed: int, size: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(size, 3, generator=generator, dtype=torch.float64)
    return x, torch.randint(3, (size,), generator=generator)


def squared(x: oracle.Vector, i: int, j: int) -> float:
    return 2 - 2 * oracle.cosine(x[i], x[j])


def semi_hard(
    x: oracle.Vector, labels: list[int], margin: float, largest: float = math.inf
) -> dict[tuple[int, int], set[int]]:
    """For each pair of an identity that has any, the negatives to choose from."""
    found = {}
    for i, j in itertools.combinations(range(len(x)), 2):
        if labels[i] == labels[j] and squared(x, i, j) <= largest:
            gaps = {n: squared(x, i, n) - squared(x, i, j) for n in range(len(x)) if labels[n] != labels[i]}
            if chosen := {n for n, gap in gaps.items() if 0 < gap < margin}:
                found[i, j] = chosen
    return found


def assert_is_mean_over(
    head: Head, x: Tensor, labels: Tensor, loss_of: Callable[[oracle.Vector], float], atol: float = 1e-9
) -> HeadOutput:
    """Loss and gradients: of the embeddings by differences; of the centres, towards their samples."""
    embeddings = x.clone().requires_grad_()
    head.zero_grad()
    output = head(embeddings, labels)
    output.loss.backward()
    assert embeddings.grad is not None
    assert head.centres.grad is not None
    assert output.loss.item() == pytest.approx(loss_of(x.numpy()), rel=1e-9)
    np.testing.assert_allclose(embeddings.grad, oracle.gradient(loss_of, x.numpy()), rtol=1e-6, atol=atol)

    def pull(centres: oracle.Vector) -> float:
        return -PULL * float(np.mean([oracle.cosine(a, centres[y]) for a, y in zip(x.numpy(), labels, strict=True)]))

    expected = oracle.gradient(pull, head.centres.detach().numpy(), step=1e-6)
    np.testing.assert_allclose(head.centres.grad, expected, rtol=1e-5, atol=1e-4)
    return HeadOutput(output.loss, output.rows)


@pytest.mark.parametrize("angle", [False, True])
@pytest.mark.parametrize("largest", [None, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_formula(angle: bool, largest: float | None, seed: int) -> None:
    head = make(margin=0.5, angle=angle, max_positive=largest).double()
    x, labels = batch(seed)
    candidates = semi_hard(x.numpy(), labels.tolist(), 0.5, largest or math.inf)
    with torch.no_grad():
        units = torch.nn.functional.normalize(x)
        state = head.state_dict()
        picked = list(zip(*(part.tolist() for part in head.pick(2 - 2 * units @ units.T, labels)), strict=True))  # type: ignore[operator]
        head.load_state_dict(state)  # so that the same are drawn again
    assert [(a, p) for a, p, _ in picked] == list(candidates)
    assert all(n in candidates[a, p] for a, p, n in picked)

    def loss_of(x: oracle.Vector) -> float:
        losses = []
        for a, p, n in picked:
            near, far = oracle.cosine(x[a], x[p]), oracle.cosine(x[a], x[n])
            gap = math.acos(near) - math.acos(far) if angle else 2 * far - 2 * near
            losses.append(max(0, gap + 0.5))
        return sum(losses) / max(len(losses), 1)

    output = assert_is_mean_over(head, x, labels, loss_of)
    cosines = np.array(oracle.cosines(x.numpy(), head.centres.detach().numpy()))
    np.testing.assert_allclose(output.rows.cosine_label, cosines[range(8), labels], atol=1e-12)
    cosines[range(8), labels] = -2
    np.testing.assert_allclose(output.rows.cosine_nearest, cosines.max(axis=1), atol=1e-12)
    assert output.rows.nearest.tolist() == cosines.argmax(axis=1).tolist()


def test_every_candidate_is_drawn_alike_and_the_draws_go_on_where_they_were_saved() -> None:
    angles = torch.tensor([0.0, 0.5, 0.6, 0.65, 0.7, 2.0], dtype=torch.float64)
    embeddings, labels = torch.stack([angles.cos(), angles.sin()], dim=1), torch.tensor([0, 0, 1, 1, 1, 2])
    head, before = methods.create("triplet", num_classes=3, embedding_size=2, margin=0.5), torch.random.get_rng_state()
    drawn = []
    for step in range(600):
        if step == 300:
            head, state = (
                methods.create("triplet", num_classes=3, embedding_size=2, seed=1, margin=0.5),
                head.state_dict(),
            )
            head.load_state_dict(state)
        picked = head.pick(2 - 2 * embeddings @ embeddings.T, labels)  # type: ignore[operator]
        drawn.append(picked.negatives[0].item())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert [drawn.count(n) for n in range(6)] == pytest.approx([0, 0, 200, 200, 200, 0], abs=50)
    assert drawn[:300] != drawn[300:]


def test_a_batch_without_triplets_costs_nothing() -> None:
    head, embeddings = make(), torch.eye(3).requires_grad_()
    loss = head(embeddings, torch.tensor([0, 1, 2])).loss
    loss.backward()
    assert loss.item() == 0
    assert embeddings.grad is not None
    assert not embeddings.grad.any()


def test_equal_opposite_and_zero_embeddings_have_finite_gradients() -> None:
    head = make(angle=True, margin=4.0)
    embeddings = torch.tensor([[1.0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 0, 0], [0, 1, 0]], requires_grad=True)
    head(embeddings, torch.tensor([0, 0, 1, 0, 2])).loss.backward()
    assert embeddings.grad is not None
    assert bool(embeddings.grad.isfinite().all())


def test_centres_come_to_the_mean_direction() -> None:
    head = make()
    optimizer = torch.optim.SGD(head.parameters(), lr=1e-3)
    x, labels = batch(0, size=30)
    for _ in range(300):
        optimizer.zero_grad()
        head(x.float(), labels).loss.backward()
        optimizer.step()
    units = torch.nn.functional.normalize(x.float())
    means = torch.stack([units[labels == label].mean(dim=0) for label in range(3)])
    assert bool((torch.cosine_similarity(means, head.class_centres()) > 0.999).all())


def _share(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save(train(slice(4 * rank, 4 * rank + 4)), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def train(share: slice) -> list[dict[str, Tensor]]:
    """Two steps of both losses on a share of the batches."""
    found = []
    for name in ("triplet", "triplet_batch_hard"):
        head = methods.create(name, num_classes=3, embedding_size=3, margin=0.8).double()
        for seed in range(2):
            x, labels = batch(seed)
            embeddings = x[share].requires_grad_()
            output = head(embeddings, labels[share])
            output.loss.backward()
            assert embeddings.grad is not None
            assert head.centres.grad is not None
            common = {"loss": output.loss.detach(), "centres": head.centres.grad}
            found.append({**common, "embeddings": embeddings.grad, "nearest": output.rows.nearest})
    return found


def test_processes_find_what_one_finds(tmp_path: Path) -> None:
    spawn(_share, args=(str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    shares = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for step, alone in enumerate(train(slice(0, 8))):
        for key in ("loss", "centres"):
            for share in shares:
                torch.testing.assert_close(share[step][key], alone[key])
        gradient = torch.cat([share[step]["embeddings"] for share in shares]) / 2  # averaged in what lies before
        torch.testing.assert_close(gradient, alone["embeddings"])
        assert torch.equal(torch.cat([share[step]["nearest"] for share in shares]), alone["nearest"])
        assert alone["loss"] > 0


def test_recipe() -> None:
    assert resolve_method("triplet_angle", {}, {}) == (
        "triplet",
        methods.find("triplet").resolve({"angle": True, "margin": 0.35}),
    )


@pytest.mark.parametrize(("option", "value"), [("margin", -1), ("max_positive", 0)])
def test_faulty_options(option: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"Triplet: .*'{option}' is {value}"):
        make(**{option: value})
