"""Backbones: one file a family, found by scan.

A file dropped in this folder offers the functions its ``__all__`` names. Each is a backbone by the function's name,
takes ``embedding_size`` and ``image_size`` (height, width), and returns a module from images, float
[B, 3, height, width], RGB in [-1, 1], to raw embeddings [B, embedding_size], not normalised.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

import torch
from torch import nn

from noisebench.errors import UserError, did_you_mean

SMALLEST_IMAGE = 16


def names() -> list[str]:
    """The names of all backbones, sorted."""
    return sorted(_builders())


def create(
    name: str, *, embedding_size: int = 512, image_size: tuple[int, int] = (112, 112), seed: int = 0
) -> nn.Module:
    """Build a backbone with weights drawn from ``seed``; torch's default generator is left as it was.

    Args:
        name: One of `names`.
        embedding_size: Length of an embedding.
        image_size: Height and width of the images, in pixels.
        seed: Of the initial weights.

    Raises:
        UserError: There is no such backbone (the nearest is named), or a size is too small.
    """
    builders = _builders()
    if name not in builders:
        raise UserError(f"unknown backbone '{name}': {did_you_mean(name, builders)}")
    if embedding_size < 1:
        raise UserError(f"embedding_size is {embedding_size}: expected at least 1")
    if min(image_size) < SMALLEST_IMAGE:
        raise UserError(f"image_size is {image_size}: expected at least {SMALLEST_IMAGE} pixels each way")
    with torch.random.fork_rng(devices=[]):  # torch.nn.init draws from the default generator, and from no other
        torch.default_generator.manual_seed(seed)
        return builders[name](embedding_size=embedding_size, image_size=image_size)


def _builders() -> dict[str, Callable[..., nn.Module]]:
    modules = [importlib.import_module(f"{__name__}.{file.name}") for file in pkgutil.iter_modules(__path__)]
    return {name: getattr(module, name) for module in modules for name in module.__all__}
