"""Backbones: one file a family, found by scan.

A file dropped in this folder offers the functions its ``__all__`` names. Each is a backbone by the function's name,
takes ``embedding_size`` and ``image_size`` (height, width), and returns a module from images, float
[B, 3, height, width], RGB in [-1, 1], to raw embeddings [B, embedding_size], not normalised. The first line of its
docstring describes it in ``noisebench list backbones``. A file of another library's networks offers ``LIBRARY``, its
name, and ``build``, which takes a network's name besides: ``LIBRARY:NAME`` is then a backbone. Files whose name begins
with an underscore offer none. An installed package offers such a function by an entry point of the group
``noisebench.backbones``.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import nn

from noisebench.backbones._layers import Stage
from noisebench.errors import UserError
from noisebench.plugins import Group

SMALLEST_IMAGE = 16

Builder = Callable[..., nn.Module]


def names() -> list[str]:
    """The names of all backbones, sorted, without those of other libraries."""
    return sorted({*_builders(), *PLUGINS.names()})


def descriptions() -> dict[str, str]:
    """What each backbone is, in one line, by its name, or by ``LIBRARY:NAME`` for those of another library."""
    own = {name: _first_line(builder) for name, builder in _builders().items()}
    found = dict(sorted((own | {name: PLUGINS.describe(name) for name in PLUGINS.names()}).items()))
    return found | {f"{library}:NAME": _first_line(build) for library, build in _libraries().items()}


def create(
    name: str,
    *,
    embedding_size: int = 512,
    image_size: tuple[int, int] = (112, 112),
    seed: int = 0,
    checkpointing: bool = False,
) -> nn.Module:
    """Build a backbone with weights drawn from ``seed``; torch's default generator is left as it was.

    Args:
        name: One of `names`, or ``timm:`` and the name of one of timm's networks.
        embedding_size: Length of an embedding.
        image_size: Height and width of the images, in pixels.
        seed: Of the initial weights.
        checkpointing: Save memory while training by computing blocks anew in backward: the same result, more slowly.

    Raises:
        UserError: There is no such backbone (the nearest is named), a size is not one it takes, it is another
            library's and is to be checkpointed, or a package's function returns something else.
    """
    builder = _find(name)
    if embedding_size < 1:
        raise UserError(f"embedding_size is {embedding_size}: expected at least 1")
    if min(image_size) < SMALLEST_IMAGE:
        raise UserError(f"image_size is {image_size}: expected at least {SMALLEST_IMAGE} pixels each way")
    with torch.random.fork_rng(devices=[]):  # torch.nn.init draws from the default generator, and from no other
        torch.default_generator.manual_seed(seed)
        backbone = builder(embedding_size=embedding_size, image_size=image_size)
    if not isinstance(backbone, nn.Module):
        raise UserError(f"backbone '{name}' of an installed package is {backbone!r}: expected a torch.nn.Module")
    if checkpointing:
        _checkpoint(backbone, name)
    return backbone


def _checkpoint(backbone: nn.Module, name: str) -> None:
    stages = [module for module in backbone.modules() if isinstance(module, Stage)]
    if not stages:
        raise UserError(f"checkpointing is not offered for backbone '{name}': leave it off")
    for stage in stages:
        stage.checkpointing = True


def _find(name: str) -> Builder:
    library, colon, model = name.partition(":")
    if colon and library in _libraries():
        return functools.partial(_libraries()[library], model)
    return _builders().get(name) or PLUGINS.load(name)


def _builders() -> dict[str, Builder]:
    return {name: getattr(module, name) for module in _modules() for name in module.__all__}


def _libraries() -> dict[str, Builder]:
    return {module.LIBRARY: module.build for module in _modules() if hasattr(module, "LIBRARY")}


def _modules() -> list[ModuleType]:
    files = [file.name for file in pkgutil.iter_modules(__path__) if not file.name.startswith("_")]
    return [importlib.import_module(f"{__name__}.{file}") for file in files]


def _first_line(builder: Builder) -> str:
    return (builder.__doc__ or "").strip().partition("\n")[0]


def _is_builder(item: Any) -> bool:
    """Whether something can be called as a backbone's function is."""
    try:
        inspect.signature(item).bind(embedding_size=1, image_size=(1, 1))
    except (TypeError, ValueError):
        return False
    return True


PLUGINS: Group[Builder] = Group(
    kind="backbone",
    name="noisebench.backbones",
    expected="a function that takes embedding_size and image_size and returns a torch.nn.Module",
    fits=_is_builder,
    own_names=_builders,
)
"""The backbones of installed packages."""
