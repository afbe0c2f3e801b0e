"""Checkpoints: what a stopped run goes on from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from noisebench.heads.head import Head

CHECKPOINT_FILE = "checkpoint.pt"


def gather_state(head: Head, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The state of a head and of its optimiser, with the centres of all classes, wherever they are held.

    All processes must call it.
    """
    return {
        "head": {**head.state_dict(), "centres": head.gather_rows(head.centres.detach())},
        "optimizer": _map_centres(optimizer.state_dict(), head, optimizer, head.gather_rows),
    }


def load_state(content: dict[str, Any], head: Head, optimizer: torch.optim.Optimizer) -> None:
    """Give a head and its optimiser the state of `gather_state`, taken with any number of processes."""
    head.load_state_dict({**content["head"], "centres": head.own_rows(content["head"]["centres"])})
    optimizer.load_state_dict(_map_centres(content["optimizer"], head, optimizer, head.own_rows))


def _map_centres(
    state: dict[str, Any], head: Head, optimizer: torch.optim.Optimizer, function: Callable[[Tensor], Tensor]
) -> dict[str, Any]:
    """An optimiser's state dict with the function applied to what it holds for each centre, such as momentum."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    number = next(number for number, weight in enumerate(weights) if weight is head.centres)
    of_centres = {
        name: function(value) if isinstance(value, Tensor) and value.dim() == head.centres.dim() else value
        for name, value in state["state"].get(number, {}).items()
    }
    return {**state, "state": {**state["state"], **({number: of_centres} if of_centres else {})}}
