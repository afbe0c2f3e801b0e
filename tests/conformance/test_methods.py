"""What every method must do; a file dropped into ``noisebench/methods`` is tested by being there."""

import copy
import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.class_head import ClassHead
from noisebench.heads.cosines import Cosines
from noisebench.heads.head import Head
from noisebench.methods.recipe import load_method_recipe

NUM_CLASSES, SIZE = 6, 16
EVERY = pytest.mark.parametrize("name", methods.names())
WITH_CLASS_HEAD = pytest.mark.parametrize(
    "name", [name for name in methods.names() if issubclass(methods.find(name), ClassHead)]
)


ENGINES = [{"mode": "dense"}, {"mode": "chunked", "chunk_size": 4}, {"mode": "sharded"}]


def build(name: str, seed: int = 0, **options: Any) -> Head:
    head = methods.create(name, num_classes=NUM_CLASSES, embedding_size=SIZE, seed=seed, **options)
    head.begin_epoch(0, 1)
    return head


def batch(size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(NUM_CLASSES, (size,), generator=generator)
    return torch.randn(size, SIZE, generator=generator).requires_grad_(), labels


@EVERY
@pytest.mark.parametrize("size", [1, 2, 32])
def test_loss_and_gradients_are_finite(name: str, size: int) -> None:
    head, (embeddings, labels) = build(name), batch(size)
    output = head(embeddings, labels, labels)
    output.loss.backward()
    assert output.loss.shape == ()
    for gradient in (embeddings.grad, head.centres.grad):
        assert gradient is not None
        assert bool(gradient.isfinite().all())
        assert bool(gradient.any()) or size < 3  # two samples make no triplet


@EVERY
def test_rows_are_plain_statistics(name: str) -> None:
    embeddings, labels = batch(8)
    rows = build(name)(embeddings, labels, labels).rows
    for key, value in vars(rows).items():
        assert value.shape == (8,)
        assert not value.requires_grad
        assert value.dtype == (torch.int64 if key in ("nearest", "used_label") else torch.float32)
    torch.testing.assert_close(rows.cosine_true, rows.cosine_label)
    assert bool((rows.nearest != labels).all())


@EVERY
def test_centres_are_a_contract(name: str) -> None:
    centres = build(name).centres
    assert isinstance(centres, torch.nn.Parameter)
    assert (centres.shape[0], centres.shape[-1]) == (NUM_CLASSES, SIZE)
    assert "centres" in dict(build(name).named_parameters())


@EVERY
def test_state_survives_saving(name: str) -> None:
    head = build(name)
    for seed in range(3):
        head(*batch(8, seed))
    restored = build(name, seed=1)
    restored.load_state_dict(copy.deepcopy(head.state_dict()))
    for seed in range(3, 6):
        assert torch.equal(head(*batch(8, seed)).loss, restored(*batch(8, seed)).loss)


@WITH_CLASS_HEAD
@pytest.mark.parametrize("options", ENGINES, ids=str)
def test_a_step_leaves_nothing_alive(name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Cosines are as large as the batch times the classes: they must not wait for the garbage collector."""
    made: weakref.WeakSet[Cosines] = weakref.WeakSet()
    make, count = ClassHead.cosines, 0

    def noted(self: ClassHead, *given: Tensor) -> Cosines:
        nonlocal count
        cosines = make(self, *given)
        made.add(cosines)
        count += 1
        return cosines

    monkeypatch.setattr(ClassHead, "cosines", noted)
    head, (embeddings, labels) = build(name, **options), batch(8)
    gc.disable()
    try:
        head(embeddings, labels, labels).loss.backward()
        head(embeddings, labels, labels)
        assert count == 2
        assert not made
    finally:
        gc.enable()


@WITH_CLASS_HEAD
@pytest.mark.parametrize("options", ENGINES, ids=str)
def test_modes_agree(name: str, options: dict[str, Any]) -> None:
    expected, found = build(name), build(name, **options)
    for seed in range(3):
        (mine, labels), (theirs, _) = batch(8, seed), batch(8, seed)
        one, other = expected(mine, labels, labels), found(theirs, labels, labels)
        one.loss.backward()
        other.loss.backward()
        torch.testing.assert_close(other.loss, one.loss, rtol=1e-5, atol=1e-5)
        for mine_grad, their_grad in ((mine.grad, theirs.grad), (expected.centres.grad, found.centres.grad)):
            assert mine_grad is not None
            assert their_grad is not None
            assert (their_grad - mine_grad).norm() <= 1e-5 * mine_grad.norm()
        torch.testing.assert_close(vars(other.rows), vars(one.rows), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(dict(found.named_buffers()), dict(expected.named_buffers()))


@WITH_CLASS_HEAD
@pytest.mark.parametrize("mode", ["dense", "chunked"])
def test_bfloat16_products_are_near(name: str, mode: str) -> None:
    """At a scale of 16: the error of a logit grows with the scale, see docs/performance.md."""
    generator = torch.Generator().manual_seed(0)
    centres, labels = torch.randn(100, 3, 512, generator=generator), torch.randint(100, (32,), generator=generator)
    embeddings = 0.3 * centres[labels, 0] + torch.randn(32, 512, generator=generator)
    found = []
    for dtype, products in ((torch.float64, "float32"), (torch.float32, "bfloat16")):
        head = methods.create(name, num_classes=100, embedding_size=512, scale=16.0, mode=mode, products=products)
        head.to(dtype).begin_epoch(0, 1)
        with torch.no_grad():
            head.centres.copy_(centres if head.centres.dim() == 3 else centres[:, 0])
        live = embeddings.to(dtype).requires_grad_()
        loss = head(live, labels).loss
        found.append((loss.detach(), *torch.autograd.grad(loss, (live, head.centres))))
    for exact, near in zip(*found, strict=True):
        assert (near - exact).norm() <= 1e-2 * exact.norm()


@EVERY
def test_monitored_numbers_are_finite_detached_scalars(name: str) -> None:
    head = build(name)
    before = head.monitored()
    head(*batch(8))
    after = head.monitored()
    assert before.keys() == after.keys()
    for value in [*before.values(), *after.values()]:
        assert value.shape == ()
        assert not value.requires_grad
        assert bool(value.isfinite())
    for key, value in after.items():
        assert value.data_ptr() not in {buffer.data_ptr() for buffer in head.buffers()}, key  # the next step changes it


@EVERY
def test_learns_a_separable_problem(name: str) -> None:
    head = build(name)
    generator = torch.Generator().manual_seed(1)
    directions = torch.randn(NUM_CLASSES, SIZE, generator=generator)
    optimizer = torch.optim.SGD(head.parameters(), lr=3e-5, momentum=0.9)  # for centres that begin at a length of 0.04
    for _ in range(60):
        labels = torch.randint(NUM_CLASSES, (32,), generator=generator)
        embeddings = directions[labels] + 0.3 * torch.randn(32, SIZE, generator=generator)
        optimizer.zero_grad()
        output = head(embeddings, labels)
        output.loss.backward()
        optimizer.step()
    assert (output.rows.cosine_label > output.rows.cosine_nearest).float().mean() > 0.95


@EVERY
def test_options(name: str) -> None:
    method = methods.find(name)
    assert method.resolve(method.resolve({})) == method.resolve({})
    assert all(field.description for field in method.Options.model_fields.values())
    with pytest.raises(UserError, match="unknown key 'no_such_option'"):
        methods.create(name, num_classes=2, embedding_size=2, no_such_option=1)


@EVERY
def test_file_and_recipe(name: str) -> None:
    assert methods.source_file(name).is_file()
    assert load_method_recipe(name).method == name


@EVERY
def test_docstring_says_where_it_comes_from(name: str) -> None:
    text = methods.source_file(name).read_text(encoding="utf-8")
    assert text.startswith('"""')
    for part in ("Paper", "Formula", "Defaults:"):
        assert part in text
