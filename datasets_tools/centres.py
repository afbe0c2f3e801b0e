"""Class centres by a trained backbone: whom hard flips confuse, as the model sees the data set's identities."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from datasets_tools.resumable import PartialFolder, resumable_file
from datasets_tools.selection import images_per_class
from noisebench.data.loader import to_network_input
from noisebench.errors import FileError
from noisebench.files import sha256_of, whole_file
from noisebench.formats.face_set import FaceSet
from noisebench.models import open_model
from noisebench.models.model_file import MODEL_FILE

IMAGES_AT_ONCE = 256
SECONDS_BETWEEN_SAVES = 60.0


def write_centres(
    out: Path, checkpoint: Path, faces: FaceSet, *, backbone: str | None = None, device: str = "cpu"
) -> NDArray[np.float32]:
    """Write the class centres that a trained model sees as an .npy file, whole or not at all.

    An interrupted call leaves ``<out>.part``, and the same call goes on from there.

    Args:
        out: The file; replaced if it is there.
        checkpoint: Whatever `open_model` opens.
        faces: The data set.
        backbone: Name of the backbone, where the checkpoint does not tell it.
        device: Where to compute.

    Returns:
        The centres, float32 [C, D].

    Raises:
        UserError: There is no such model, an identity has no centre, or ``out`` cannot be written.
    """
    model = open_model(checkpoint, backbone)
    file = checkpoint / MODEL_FILE if checkpoint.is_dir() else checkpoint
    task = {"data": faces.fingerprint, "model": sha256_of(file), "backbone": backbone}
    with resumable_file(out, verb="centres", **task) as part:
        centres = class_centres(
            model.on_rgb(),
            faces,
            model.image_size,
            device=device,
            batch_size=IMAGES_AT_ONCE,
            threads=os.cpu_count() or 1,
            part=part,
        )
        with whole_file(part.path / out.name) as temporary, temporary.open("wb") as stream:
            np.save(stream, centres)
    return centres


def class_centres(
    backbone: nn.Module,
    faces: FaceSet,
    image_size: tuple[int, int],
    *,
    device: torch.device | str = "cpu",
    batch_size: int = IMAGES_AT_ONCE,
    threads: int = 1,
    part: PartialFolder | None = None,
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
        part: Where to save now and then how far it has come, and to go on from; None saves nothing.

    Raises:
        FileError: An identity has no image, an image cannot be decoded, or an embedding is not finite.
    """
    images = images_per_class(faces.labels, faces.num_classes)
    if not images.all():
        raise FileError(faces.folder, f"identity {int(images.argmin())} has no image, and so no centre")
    sums = _sums_of_embeddings(backbone.to(device).eval(), faces, image_size, device, batch_size, threads, part)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        at = int((~np.isfinite(lengths) | (lengths == 0)).argmax())
        raise FileError(faces.folder, f"identity {at} has no centre: its embeddings are not finite, or cancel out")
    return np.asarray(sums / lengths, dtype=np.float32)


@torch.inference_mode()
def _sums_of_embeddings(
    backbone: nn.Module,
    faces: FaceSet,
    image_size: tuple[int, int],
    device: torch.device | str,
    batch_size: int,
    threads: int,
    part: PartialFolder | None,
) -> NDArray[np.float64]:
    """The sum of the unit embeddings of each identity's images, [C, D]."""
    pixels = np.empty((batch_size, *image_size, 3), dtype=np.uint8)
    first, sums = _saved(part)
    saved_at = time.monotonic()
    total = len(faces.keys)
    with tqdm(total=total, initial=first, desc="embedding", unit="image", unit_scale=True, disable=None) as bar:
        for start in range(first, total, batch_size):
            keys = faces.keys[start : start + batch_size]
            batch = pixels[: len(keys)]
            faces.read_images(keys.tolist(), batch, threads, resize=True)
            raw = backbone(to_network_input(torch.from_numpy(batch), torch.device(device))).float()
            unit = nn.functional.normalize(raw).cpu().numpy()
            if sums is None:
                sums = np.zeros((faces.num_classes, unit.shape[1]))
            np.add.at(sums, faces.labels[start : start + batch_size], unit)
            bar.update(len(keys))
            if part is not None and time.monotonic() - saved_at > SECONDS_BETWEEN_SAVES:
                _save(part, start + len(keys), sums)
                saved_at = time.monotonic()
    assert sums is not None, "a data set has an image"
    return sums


def _saved(part: PartialFolder | None) -> tuple[int, NDArray[np.float64] | None]:
    """How many images are in the sums that an interrupted call has saved, and these."""
    if part is None or not part.done:
        return 0, None
    done = part.done["images"]
    return done, np.load(_sums_file(part, done), allow_pickle=False)


def _save(part: PartialFolder, done: int, sums: NDArray[np.float64]) -> None:
    with whole_file(_sums_file(part, done)) as temporary, temporary.open("wb") as stream:
        np.save(stream, sums)
    before = part.done.get("images")
    part.save(images=done)
    if before is not None:
        _sums_file(part, before).unlink(missing_ok=True)


def _sums_file(part: PartialFolder, done: int) -> Path:
    return part.path / f"sums-{done}.npy"
