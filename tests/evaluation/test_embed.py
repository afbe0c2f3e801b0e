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
from noisebench.evaluation.embed import Embedder, embed, find_device, gauss, prepare
from noisebench.evaluation.result import Preprocessing
from noisebench.formats import jpeg


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


def test_concatenated_the_mirror_image_stands_behind() -> None:
    images = [jpeg.decode(image) for image in pictures(3)]
    embedder = Embedder(LeftHalf(), batch_size=2)
    behind = embedder.embed(images, "concatenation")
    assert behind.shape == (3, 12)
    np.testing.assert_array_equal(behind[:, :6], Embedder(LeftHalf()).embed(images, "none"))
    np.testing.assert_allclose(behind[:, :6] + behind[:, 6:], Embedder(LeftHalf()).embed(images, "sum"), atol=1e-6)


def test_a_backbone_trained_on_bgr_sees_bgr() -> None:
    image = jpeg.decode(pictures(1)[0])
    rgb, bgr = (
        Embedder(LeftHalf(), preprocessing=Preprocessing(channels=channels)).embed([image])
        for channels in ("rgb", "bgr")
    )
    np.testing.assert_array_equal(bgr[0, :3], rgb[0, 2::-1])


@pytest.mark.parametrize("sigma", [0.4, 1.5, 5.0])
def test_the_blur_is_a_gaussian_of_so_many_pixels(sigma: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 50, 3)).astype(np.uint8)
    reach = int(np.ceil(3 * sigma))
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    padded = np.pad(image.astype(np.float64), ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    rows = np.apply_along_axis(np.convolve, 0, padded, weights, "valid")
    slow = np.apply_along_axis(np.convolve, 1, rows, weights, "valid")
    assert np.abs(prepare(image, Preprocessing(image_size=(60, 50), gauss_sigma=sigma)) - slow).max() < 1.5


def test_a_device_that_is_not_there_is_said() -> None:
    assert find_device("cpu") == torch.device("cpu")
    for name in ("cuda:99", "gpu"):
        with pytest.raises(UserError, match=f"device '{name}' cannot be used"):
            find_device(name)


def test_the_blur_comes_after_resizing() -> None:
    image = jpeg.decode(pictures(1, side=224)[0])
    small = cv2.resize(image, (112, 112), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(prepare(image, Preprocessing(gauss_sigma=2)), gauss(np.asarray(small, np.uint8), 2))
