"""Lets torchvision import, which timm needs, where it was built for another torch than the one installed."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import torch

OPERATORS = ("nms", "qnms")


@functools.cache
def define_missing() -> torch.library.Library | None:
    """Declare the operators that torchvision asks for while importing, unless its own library brings them.

    Returns:
        What holds the declarations; they last as long as it does.
    """
    torchvision = importlib.util.find_spec("torchvision")
    if torchvision is None or torchvision.origin is None:
        return None
    try:
        for library in Path(torchvision.origin).parent.glob("_C.*"):
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]
    except OSError:
        pass
    if hasattr(torch.ops.torchvision, OPERATORS[0]):
        return None
    declared = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in OPERATORS:
        declared.define(f"{operator}(Tensor a, Tensor b, float c) -> Tensor")  # type: ignore[no-untyped-call]
    return declared
