"""Class centres by a trained backbone: whom hard flips confuse, as the model sees the data set's identities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from datasets_tools.selection import images_per_class
from noisebench.data.loader import to_network_input
from noisebench.errors import FileError
from noisebench.files import whole_file
from noisebench.formats.face_set import FaceSet


def class_centres(
    backbone: nn.Module,
    faces: FaceSet,
    image_size: tuple[int, int],
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 256,
    threads: int = 1,
) -> NDArray[np.float32]:
    """The mean of the unit embeddings of each identity's images, float32 [C, D], at length 1.

    Every image is read once, in record order, and seen as it is, without its mirror image.

    Args:
        backbone: float [B, 3, H, W] RGB in [-1, 1] -> [B, D]; put in evaluation mode.
        faces: The data set.
        image_size: Height and width the backbone takes; images of another size are resized.
        device: Where to compute.
        batch_size: Images embedded at a time.
        threads: How many threads decode.

    Raises:
        FileError: An identity has no image, an image cannot be decoded, or an embedding is not finite.
    """
    images = images_per_class(faces.labels, faces.num_classes)
    if not images.all():
        raise FileError(faces.folder, f"identity {int(images.argmin())} has no image, and so no centre")
    pixels = np.empty((batch_size, *image_size, 3), dtype=np.uint8)
    sums: NDArray[np.float64] | None = None
    backbone.to(device).eval()
    with (
        torch.inference_mode(),
        tqdm(total=len(faces.keys), desc="embedding", unit="image", unit_scale=True, delay=2, disable=None) as bar,
    ):
        for start in range(0, len(faces.keys), batch_size):
            keys = faces.keys[start : start + batch_size]
            batch = pixels[: len(keys)]
            faces.read_images(keys.tolist(), batch, threads, resize=True)
            raw = backbone(to_network_input(torch.from_numpy(batch), torch.device(device))).float()
            unit = nn.functional.normalize(raw).cpu().numpy()
            if sums is None:
                sums = np.zeros((faces.num_classes, unit.shape[1]))
            np.add.at(sums, faces.labels[start : start + batch_size], unit)
            bar.update(len(keys))
    assert sums is not None, "a data set has an image"
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        at = int((~np.isfinite(lengths) | (lengths == 0)).argmax())
        raise FileError(faces.folder, f"identity {at} has no centre: its embeddings are not finite, or cancel out")
    return np.asarray(sums / lengths, dtype=np.float32)


def write_centres(path: Path, centres: NDArray[np.float32]) -> None:
    """Write an .npy file of class centres, whole or not at all.

    Raises:
        FileError: It cannot be written.
    """
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, centres)
