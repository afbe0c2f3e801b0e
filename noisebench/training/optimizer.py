"""The optimiser of a training: SGD, where asked with a weight decay of their own for normalisation layers."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from noisebench.training.settings import TrainingSettings
from noisebench.training.sync_batchnorm import GlobalBatchNorm

NORMALISATIONS = (_BatchNorm, GlobalBatchNorm, nn.LayerNorm, nn.GroupNorm)


def make_optimizer(settings: TrainingSettings, backbone: nn.Module, head: nn.Module) -> torch.optim.SGD:
    """SGD over all weights of backbone and head that are trained.

    It is fused: one pass over each weight instead of several, which on large class counts is many times as fast. Its
    results can differ from those of torch's plain loop in the last bit.
    """
    weights = [weight for weight in chain(backbone.parameters(), head.parameters()) if weight.requires_grad]
    groups: list[dict[str, Any]] = [{"params": weights}]
    if settings.weight_decay_norm is not None:
        spared = {id(weight) for weight in _normalisation_weights(backbone)}
        groups = [
            {"params": [weight for weight in weights if id(weight) not in spared]},
            {
                "params": [weight for weight in weights if id(weight) in spared],
                "weight_decay": settings.weight_decay_norm,
            },
        ]
    return torch.optim.SGD(
        groups,
        lr=settings.schedule.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
        fused=True,
    )


def _normalisation_weights(backbone: nn.Module) -> list[nn.Parameter]:
    layers = [layer for layer in backbone.modules() if isinstance(layer, NORMALISATIONS)]
    return [weight for layer in layers for weight in layer.parameters(recurse=False)]
