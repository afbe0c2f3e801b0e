"""Embedding of images: preprocessing, mirror image, norms, modes; oracles are computed from pixels by NumPy."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from noisebench.errors import UserError
from noisebench.evaluation.embed import embed, evaluate
from noisebench.formats import jpeg
from noisebench.formats.verification_bin import VerificationSet


class LeftHalf(nn.Module):
    """Six numbers: the mean of each channel over the left half, then over the top half."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[2:]
        return torch.cat([images[..., : width // 2].mean((2, 3)), images[:, :, : height // 2].mean((2, 3))], dim=1)


def pictures(count: int, side: int = 112, seed: int = 0) -> list[bytes]:
    """Blurred noise, each picture lighter from side to side."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 100, side)[None, :, None]
    return [
        jpeg.encode((random.integers(0, 156, (1, 1, 3)) + np.zeros((side, 1, 3)) + ramp).astype(np.uint8))
        for _ in range(count)
    ]


def expected(encoded: bytes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Raw output of `LeftHalf` for a picture of 112x112 and for its mirror image."""
    pixels = (jpeg.decode(encoded).astype(np.float64) / 255 - 0.5) / 0.5
    top = pixels[:56].mean((0, 1))
    return (
        np.concatenate([pixels[:, :56].mean((0, 1)), top]),
        np.concatenate([pixels[:, 56:].mean((0, 1)), top]),
    )


def test_an_embedding_is_the_sum_over_the_image_and_its_mirror_image() -> None:
    images = pictures(5)
    result = embed(LeftHalf(), images, device="cpu", batch_size=2)
    raw = [expected(image) for image in images]
    np.testing.assert_allclose(result.vectors, [image + mirrored for image, mirrored in raw], atol=1e-5)
    assert result.vectors.dtype == np.float32
    norms = [np.linalg.norm(output) for outputs in raw for output in outputs]
    assert result.mean_norm == pytest.approx(np.mean(norms), abs=1e-5)


def test_without_flip_it_is_the_image_alone() -> None:
    images = pictures(3)
    result = embed(LeftHalf(), images, device="cpu", flip=False)
    raw = np.array([expected(image)[0] for image in images])
    np.testing.assert_allclose(result.vectors, raw, atol=1e-5)
    assert result.mean_norm == pytest.approx(np.linalg.norm(raw, axis=1).mean(), abs=1e-5)


def test_larger_images_are_resized() -> None:
    large, wide = pictures(1, side=224)[0], np.zeros((112, 200, 3), np.uint8)
    wide[:, 44:156] = jpeg.decode(pictures(1)[0])  # the central square
    seen: list[torch.Tensor] = []

    class Watch(LeftHalf):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images)
            return super().forward(images)

    embed(Watch(), [large, cv2.imencode(".png", wide[..., ::-1])[1].tobytes()], device="cpu", flip=False)
    resized = cv2.resize(jpeg.decode(large), (112, 112), interpolation=cv2.INTER_CUBIC)
    for position, image in enumerate([resized, wide[:, 44:156]]):
        pixels = (seen[0][position].permute(1, 2, 0).numpy() + 1) * 127.5
        np.testing.assert_allclose(pixels, image, atol=1e-3)


def test_modes_are_restored_module_by_module_even_after_an_error() -> None:
    class Fails(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise ArithmeticError

    backbone = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(), Fails())
    backbone[1].eval()
    with pytest.raises(ArithmeticError):
        embed(backbone, pictures(1), device="cpu")
    assert [module.training for module in backbone.modules()] == [True, True, False, True]


def test_batch_statistics_neither_act_nor_move() -> None:
    backbone = nn.Sequential(nn.BatchNorm2d(3), LeftHalf())
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    together = embed(backbone, pictures(4), device="cpu", batch_size=4).vectors
    alone = embed(backbone, pictures(4), device="cpu", batch_size=1).vectors
    np.testing.assert_allclose(together, alone, atol=1e-6)
    after: dict[str, Any] = backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_an_image_that_cannot_be_decoded_is_named() -> None:
    with pytest.raises(UserError, match="image 3: "):
        embed(LeftHalf(), [*pictures(3), b"no image"], device="cpu", batch_size=2)


def test_no_image_is_refused() -> None:
    with pytest.raises(UserError, match="no images"):
        embed(LeftHalf(), [], device="cpu")


def test_evaluate_finds_pairs_of_equal_images() -> None:
    images = pictures(40)
    same = np.tile([True, False], 10)
    jpegs = [image for pair, equal in enumerate(same) for image in (images[2 * pair], images[2 * pair + (not equal)])]
    testset = VerificationSet(name="made", jpegs=jpegs, same=same, sha256="0" * 64)
    result = evaluate(LeftHalf(), testset, device="cpu", batch_size=7)
    assert (result.sha256, result.num_pairs, result.accuracy, result.accuracy_std) == ("0" * 64, 20, 1.0, 0.0)
    assert result.tar_at_far == {}  # 9 impostor pairs outside a fold resolve no rate
    assert result.mean_norm == embed(LeftHalf(), jpegs, device="cpu", batch_size=7).mean_norm


def test_evaluate_names_the_test_set() -> None:
    testset = VerificationSet(name="tiny", jpegs=pictures(4), same=np.array([True, False]), sha256="0" * 64)
    with pytest.raises(UserError, match="test set 'tiny': 2 pairs are too few for 10 folds"):
        evaluate(LeftHalf(), testset, device="cpu")
