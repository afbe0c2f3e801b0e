"""A training loop of one's own, on noisebench's faces, noise and losses: plain PyTorch, nothing else.

    python examples/plain_loop.py --noise closed30 --method boundaryf1

makes a few synthetic faces the first time; a minute on a CPU.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch.utils.data import DataLoader

import noisebench
from datasets_tools.synthetic import make_faces
from noisebench.data.torch_dataset import TorchFaces
from noisebench.evaluation.test_set import evaluate_test_set, parse

EMBEDDING_SIZE = 128


def train(faces: TorchFaces, method: str, *, epochs: int, batch_size: int, seed: int = 0) -> torch.nn.Module:
    """Train a small backbone, and print after each epoch which labels the method took for wrong."""
    order = torch.Generator().manual_seed(seed)
    loader = DataLoader(faces, batch_size, shuffle=True, drop_last=True, generator=order)
    backbone = noisebench.backbones.create(
        "small_ir", embedding_size=EMBEDDING_SIZE, image_size=faces.image_size, seed=seed
    )
    head = noisebench.methods.create(
        method, num_classes=faces.num_classes, embedding_size=EMBEDDING_SIZE, seed=seed, scale=16.0
    )
    parameters = [*backbone.parameters(), *head.parameters()]  # the class centres learn, too
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=epochs * len(loader))
    head.attach(optimizer)
    for epoch in range(epochs):
        head.begin_epoch(epoch, epochs)
        losses, changed, rightly = 0.0, 0, 0
        for images, labels, true_labels in loader:
            output = head(backbone(images), labels, true_labels)  # true labels are only for output.rows
            optimizer.zero_grad()
            output.loss.backward()
            optimizer.step()
            schedule.step()
            is_changed = output.rows.used_label != labels
            losses += output.loss.item()
            changed += int(is_changed.sum())
            rightly += int((is_changed & (output.rows.used_label == true_labels)).sum())
        print(f"epoch {epoch}: loss {losses / len(loader):.3f}, {changed} labels changed, {rightly} to the right one")
    return backbone


def main() -> None:
    """Train on faces with noise, and verify people nobody has seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/faces-example"))
    parser.add_argument("--noise", default="closed30", help="recipe or manifest (.parquet)")
    parser.add_argument("--method", default="boundaryf1")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=64)
    chosen = parser.parse_args()
    if not chosen.data.exists():
        make_faces(chosen.data, identities=60, images=16, pairs=300)
    faces = TorchFaces.open(chosen.data, chosen.noise)
    backbone = train(faces, chosen.method, epochs=chosen.epochs, batch_size=chosen.batch_size)
    for test_set in sorted(chosen.data.glob("*.bin")):
        metrics = evaluate_test_set(backbone, parse(str(test_set)), image_size=faces.image_size)
        print(f"{test_set.stem}: accuracy {metrics.accuracy:.2%}")


if __name__ == "__main__":
    main()
