"""A data set with its noise as a plain PyTorch data set, for training loops of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datasets_tools.make_noise import make_manifest
from noisebench.data.dataset import NoisyFaces
from noisebench.data.loader import to_network_input
from noisebench.errors import UserError
from noisebench.formats.data_source import open_data
from noisebench.noise.manifest import Manifest
from noisebench.noise.recipe import load_recipe

Sample = tuple[Tensor, int, int]


class TorchFaces(Dataset[Sample]):
    """Samples ``(image, label, true_label)`` as a noise manifest has them, one a row.

    The image is float32 [3, H, W], RGB in [-1, 1]; the label is the one to train with; the true label says whom the
    image shows, -1 for nobody of the set, and is there for a method's statistics only. A ``DataLoader`` makes of them
    float32 [B, 3, H, W] and twice int64 [B], and reads and decodes each batch at once.

    Args:
        faces: Images and manifest.
        transform: What is done to each image on the way, such as torchvision's ``RandomHorizontalFlip``.
        threads: Threads that decode a batch.

    Raises:
        UserError: The noise is drawn anew for every batch, so it is no property of a sample.
    """

    def __init__(
        self, faces: NoisyFaces, transform: Callable[[Tensor], Tensor] | None = None, threads: int = 1
    ) -> None:
        recipe = faces.manifest.origin.recipe
        if recipe.per_batch is not None:
            raise UserError(f"noise '{recipe.name}' is drawn by batch: only noisebench.data.loader.Loader makes it")
        self.faces, self.transform, self.threads = faces, transform, threads

    @classmethod
    def open(
        cls,
        data: Path | str,
        noise: Path | str = "clean",
        *,
        outliers: Path | str | None = None,
        seed: int = 0,
        transform: Callable[[Tensor], Tensor] | None = None,
        threads: int = 1,
    ) -> Self:
        """Open a data set with noise.

        Args:
            data: A data set as ``noisebench bench --data`` takes it.
            noise: A manifest (.parquet), or a recipe from which it is made.
            outliers: Where images of open-set noise come from; default: ``outliers`` in the data's folder.
            seed: Noise seed, for a recipe.
            transform: As for the class.
            threads: As for the class.

        Raises:
            UserError: There is no such data set or recipe, a file is at fault, or the manifest is of other data.
        """
        base, beside = open_data(Path(data)), Path(data) / "outliers"
        folder = Path(outliers) if outliers is not None else beside if beside.is_dir() else None
        others = open_data(folder) if folder is not None else None
        if str(noise).endswith(".parquet"):
            manifest = Manifest.read(Path(noise))
        else:
            manifest = make_manifest(load_recipe(str(noise)), base, others, seed)
        return cls(NoisyFaces(base, others, manifest), transform, threads)

    @property
    def num_classes(self) -> int:
        """Number of classes to train."""
        return self.faces.manifest.num_train_classes

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.faces.base.image_size

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, row: int) -> Sample:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[Sample]:
        """The samples of these rows; a ``DataLoader`` asks for those of a batch."""
        chosen = np.asarray(rows, dtype=np.int64)
        pixels = torch.from_numpy(self.faces.images(chosen, self.threads))
        images = to_network_input(pixels, torch.device("cpu")).contiguous().unbind()
        if self.transform is not None:
            images = tuple(map(self.transform, images))
        labels, true_labels = self.faces.labels(chosen).tolist(), self.faces.true_labels(chosen).tolist()
        return list(zip(images, labels, true_labels, strict=True))
