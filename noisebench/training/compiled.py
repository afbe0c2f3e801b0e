"""``torch.compile`` where it works: it needs a C++ compiler for a CPU, and Triton for a GPU."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn


def compiled(network: nn.Module, device: torch.device) -> nn.Module | None:
    """The network compiled, sharing its weights; None, with a warning of one line, where nothing can be compiled here.

    The whole is compiled with its first batch; only whether a trifle can be is tried at once.
    """
    try:
        torch.compile(_trifle)(torch.ones(2, device=device))
    except Exception as error:  # what a missing compiler raises differs from version to version
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        warnings.warn(f"'compile' is on, but torch.compile does not work here: {why}; going on without", stacklevel=2)
        return None
    return torch.compile(network)  # type: ignore[return-value]  # a module gives a module


def _trifle(values: Tensor) -> Tensor:
    return (2 * values + 1).sum()
