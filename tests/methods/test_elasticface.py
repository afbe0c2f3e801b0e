import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head
from noisebench.methods.recipe import resolve_method
from noisebench.noise.counter import derive_seed
from tests.heads import oracle
from tests.methods.formula import RowLoss, assert_equals_formula


def make(**options: Any) -> Head:
    return methods.create("elasticface", num_classes=4, embedding_size=3, scale=16.0, seed=5, **options)


def draws(number: int, mean: float, std: float) -> list[float]:
    """The first margins of a float64 head of seed 5."""
    generator = torch.Generator().manual_seed(derive_seed(5, "margins"))
    return (mean + std * torch.randn(number, generator=generator).double()).tolist()


def target(c: float, m: float, *, on_angle: bool, fallback: bool) -> float:
    if not on_angle:
        return c - m
    return oracle.arc_target(c, m) if fallback else math.cos(math.acos(c) + m)


def formula(m: float, *, on_angle: bool, fallback: bool) -> RowLoss:
    def row_loss(row: list[float], y: int, norm: float) -> float:
        row[y] = target(row[y], m, on_angle=on_angle, fallback=fallback)
        return oracle.cross_entropy([16 * c for c in row], y)

    return row_loss


@pytest.mark.parametrize(("margin_on", "variant"), [("angle", "paper"), ("angle", "official"), ("cosine", "paper")])
@pytest.mark.parametrize("training", [True, False])
def test_formula_at_the_mean_margin(margin_on: str, variant: str, training: bool) -> None:
    head = make(margin=0.6, std=0.0 if training else 0.3, margin_on=margin_on, variant=variant).train(training)
    assert_equals_formula(head, formula(0.6, on_angle=margin_on == "angle", fallback=variant == "paper"))


@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("margin_on", ["angle", "cosine"])
def test_formula_with_drawn_margins(margin_on: str, plus: bool) -> None:
    head = make(margin=0.4, std=0.3, margin_on=margin_on, plus=plus).double()
    random = np.random.Generator(np.random.Philox(1))
    x, centres, labels = random.standard_normal((6, 3)), random.standard_normal((4, 3)), [0, 3, 1, 1, 2, 0]
    margins = draws(6, 0.4, 0.3)
    if plus:
        label_cosines = [row[y] for row, y in zip(oracle.cosines(x, centres), labels, strict=True)]
        nearest_first = sorted(range(6), key=lambda i: -label_cosines[i])
        margins = [sorted(margins)[nearest_first.index(i)] for i in range(6)]

    def slow(x: oracle.Vector, centres: oracle.Vector) -> float:
        losses = []
        for row, y, m in zip(oracle.cosines(x, centres), labels, margins, strict=True):
            row[y] = target(row[y], m, on_angle=margin_on == "angle", fallback=m > 0)
            losses.append(oracle.cross_entropy([16 * c for c in row], y))
        return sum(losses) / 6

    head.centres.data = torch.from_numpy(centres)
    embeddings = torch.from_numpy(x).requires_grad_()
    loss = head(embeddings, torch.tensor(labels)).loss
    loss.backward()
    assert embeddings.grad is not None
    assert head.centres.grad is not None
    assert loss.item() == pytest.approx(slow(x, centres), rel=1e-6)
    gradients = ((embeddings.grad, partial(slow, centres=centres), x), (head.centres.grad, partial(slow, x), centres))
    for found, function, at in gradients:
        np.testing.assert_allclose(found, oracle.gradient(function, at), rtol=1e-5, atol=1e-6)


def test_the_generator_goes_on_where_it_was_saved_and_no_other_is_touched() -> None:
    head, before = make(), torch.random.get_rng_state()
    embeddings, labels = torch.ones(3, 3), torch.tensor([0, 1, 2])
    first = head(embeddings, labels).loss.item()
    state = head.state_dict()
    second = head(embeddings, labels).loss.item()
    restored = methods.create("elasticface", num_classes=4, embedding_size=3, scale=16.0, seed=6)
    restored.load_state_dict(state)
    assert restored(embeddings, labels).loss.item() == second != first
    assert torch.equal(torch.random.get_rng_state(), before)
    head.eval()
    head(embeddings, labels)
    head.train()
    third = draws(9, 0.5, 0.05)[6:]
    head(embeddings, labels)
    assert vars(head)["margins"].tolist() == pytest.approx(third)


@pytest.mark.parametrize(
    ("recipe", "changed"),
    [
        ("elasticface_cos", {"margin_on": "cosine", "margin": 0.35}),
        ("elasticface_arc_plus", {"plus": True, "std": 0.0175}),
        ("elasticface_cos_plus", {"margin_on": "cosine", "margin": 0.35, "plus": True, "std": 0.02}),
    ],
)
def test_recipes(recipe: str, changed: dict[str, Any]) -> None:
    assert resolve_method(recipe, {}, {}) == ("elasticface", methods.find("elasticface").resolve(changed))


@pytest.mark.parametrize(("option", "value"), [("std", -1), ("margin", 4), ("margin_on", "'sine'")])
def test_faulty_options(option: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"ElasticFace: .*'{option}' is {value}"):
        make(**{option: value.strip("'") if isinstance(value, str) else value})
