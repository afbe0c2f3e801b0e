"""How far losses and gradients are from those in float64, beside a head written plainly in float32.

The plain head has no margin: ``F.cross_entropy`` of scaled products of normalised vectors.

    python -m benchmarks.exactness [--size 512] [--draws 12] [--methods arcface,curricularface]

A draw is 32 embeddings, each its centre times a closeness, and noise, of 100 classes. Printed is the largest relative
error (2-norm) of the loss and of either gradient, embeddings and centres, over all draws. No clock is read, so the
machine may be busy.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.heads import margin_methods, positive
from noisebench import methods

BATCH, NUM_CLASSES = 32, 100
CLOSENESS = (0.3, 1.0)  # samples hardly learnt, and learnt well: their loss is near 0
SCALES = (16.0, 64.0)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Draw = tuple[Tensor, Tensor, Tensor]
Results = tuple[Tensor, ...]
Head = Callable[[Draw, float], Results]


def draw(seed: int, size: int, closeness: float) -> Draw:
    """Embeddings [B, size], centres [C, 3, size] of which a head takes as many as it has, and labels."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(NUM_CLASSES, 3, size, generator=generator)
    labels = torch.randint(NUM_CLASSES, (BATCH,), generator=generator)
    embeddings = closeness * centres[labels, 0] + torch.randn(BATCH, size, generator=generator)
    return embeddings.to(DEVICE), centres.to(DEVICE), labels.to(DEVICE)


def plain(data: Draw, scale: float) -> Results:
    """Loss and gradients as most code computes them."""
    embeddings, centres = data[0].clone().requires_grad_(), data[1][:, 0].clone().requires_grad_()
    loss = F.cross_entropy(scale * F.linear(F.normalize(embeddings), F.normalize(centres)), data[2])
    return loss.detach(), *torch.autograd.grad(loss, (embeddings, centres))


def of_head(name: str, dtype: torch.dtype, products: str, data: Draw, scale: float) -> Results:
    """Loss and gradients of a method, chunked."""
    embeddings, centres, labels = data
    head = methods.create(
        name,
        num_classes=NUM_CLASSES,
        embedding_size=embeddings.shape[1],
        scale=scale,
        mode="chunked",
        products=products,
    ).to(DEVICE, dtype)
    head.begin_epoch(0, 1)
    with torch.no_grad():
        head.centres.copy_(centres if head.centres.ndim == 3 else centres[:, 0])
    embeddings = embeddings.to(dtype).requires_grad_()
    loss = head(embeddings, labels).loss
    return loss.detach(), *torch.autograd.grad(loss, (embeddings, head.centres))


def error(found: Results, exact: Results) -> float:
    """The largest of the relative errors."""
    return max(float((a - b).norm() / b.norm()) for a, b in zip(found, exact, strict=True))


def row(found: Head, exact: Head, size: int, draws: int) -> str:
    """Cells of a table: the largest error over the draws, for each scale and closeness."""
    cells = []
    for scale, closeness in product(SCALES, CLOSENESS):
        each = [draw(seed, size, closeness) for seed in range(draws)]
        cells.append(f"{max(error(found(data, scale), exact(data, scale)) for data in each):.1e}")
    return " | ".join(cells)


def main() -> None:
    """Parse the flags and print one table for each precision of the products."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=positive, default=512, help="of an embedding")
    parser.add_argument("--draws", type=positive, default=12)
    parser.add_argument("--methods", type=margin_methods, default="", help="default: all")
    arguments = parser.parse_args()
    columns = " | ".join(f"scale {scale:g}, closeness {closeness:g}" for scale, closeness in product(SCALES, CLOSENESS))
    for products in ("float32", "bfloat16"):
        print(f"\n### {DEVICE}, embeddings of {arguments.size}, products in {products}, {arguments.draws} draws\n")
        print(f"| head | {columns} |\n| --- | --- | --- | --- | --- |")
        heads: dict[str, Head] = {name: partial(of_head, name, torch.float32, products) for name in arguments.methods}
        if products == "float32":
            heads = {"plain": plain, **heads}
        for name, head in heads.items():
            exact = partial(of_head, "normface" if name == "plain" else name, torch.float64, "float32")
            print(f"| {name} | {row(head, exact, arguments.size, arguments.draws)} |", flush=True)


if __name__ == "__main__":
    main()
