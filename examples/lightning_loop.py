"""noisebench's faces, noise and losses under PyTorch Lightning: ``pip install pytorch-lightning``.

    python examples/lightning_loop.py --noise closed30 --method arcface

makes a few synthetic faces the first time; a minute on a CPU.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

import noisebench
from datasets_tools.synthetic import make_faces
from noisebench.data.torch_dataset import TorchFaces
from noisebench.evaluation.test_set import evaluate_test_set, parse
from noisebench.heads.head import HeadOutput


class FaceRecogniser(pl.LightningModule):
    """A backbone with a method's head, whose class centres and state Lightning saves with it."""

    def __init__(self, method: str, num_classes: int, image_size: tuple[int, int], embedding_size: int = 128) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.backbone = noisebench.backbones.create("small_ir", embedding_size=embedding_size, image_size=image_size)
        self.head = noisebench.methods.create(
            method, num_classes=num_classes, embedding_size=embedding_size, scale=16.0
        )

    def on_train_epoch_start(self) -> None:
        """Some methods follow the epochs."""
        self.head.begin_epoch(self.current_epoch, self.trainer.max_epochs or 1)

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """The loss of a batch; true labels are for the statistics that are logged."""
        images, labels, true_labels = batch
        output: HeadOutput = self.head(self.backbone(images), labels, true_labels)
        is_wrong = labels != true_labels
        self.log("loss", output.loss, prog_bar=True)
        self.log("cosine/right labels", output.rows.cosine_label[~is_wrong].mean())
        self.log("cosine/wrong labels", output.rows.cosine_label[is_wrong].nanmean())
        return output.loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """SGD over backbone and class centres."""
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
        self.head.attach(optimizer)
        return optimizer


def main() -> None:
    """Train on faces with noise, and verify people nobody has seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/faces-example"))
    parser.add_argument("--noise", default="closed30", help="recipe or manifest (.parquet)")
    parser.add_argument("--method", default="arcface")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=64)
    chosen = parser.parse_args()
    if not chosen.data.exists():
        make_faces(chosen.data, identities=60, images=16, pairs=300)
    faces = TorchFaces.open(chosen.data, chosen.noise)
    recogniser = FaceRecogniser(chosen.method, faces.num_classes, faces.image_size)
    trainer = pl.Trainer(max_epochs=chosen.epochs, accelerator="auto", devices=1, log_every_n_steps=1)
    order = torch.Generator().manual_seed(0)
    trainer.fit(recogniser, DataLoader(faces, chosen.batch_size, shuffle=True, drop_last=True, generator=order))
    for test_set in sorted(chosen.data.glob("*.bin")):
        metrics = evaluate_test_set(recogniser.backbone, parse(str(test_set)), image_size=faces.image_size)
        print(f"{test_set.stem}: accuracy {metrics.accuracy:.2%}")


if __name__ == "__main__":
    main()
