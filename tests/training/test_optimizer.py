"""Which weights are decayed, seen by what a step without any gradient does to them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from noisebench import backbones, methods
from noisebench.training.optimizer import make_optimizer
from noisebench.training.schedule import Schedule
from noisebench.training.settings import TrainingSettings


@pytest.mark.parametrize("norm_decay", [None, 0.0, 0.02])
def test_normalisation_has_a_decay_of_its_own(norm_decay: float | None) -> None:
    settings = TrainingSettings(
        epochs=1, batch_size=2, weight_decay=0.01, weight_decay_norm=norm_decay, schedule=Schedule(learning_rate=0.5)
    )
    backbone = nn.Sequential(
        backbones.create("small_ir", embedding_size=4, image_size=(16, 16)), nn.LayerNorm(4), nn.GroupNorm(2, 4)
    )
    head = methods.create("arcface", num_classes=3, embedding_size=4, seed=0)
    optimizer = make_optimizer(settings, backbone, head)
    of_norms = {
        f"{name}.{own}"
        for name, layer in backbone.named_modules()
        for own, _ in layer.named_parameters(recurse=False)
        if "Norm" in type(layer).__name__
    }
    weights = dict(backbone.named_parameters()) | {"centres": head.centres}
    before = {}
    for name, weight in weights.items():
        nn.init.ones_(weight)
        before[name] = weight.detach().clone()
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    assert of_norms < weights.keys()
    for name, weight in weights.items():
        decay = norm_decay if norm_decay is not None and name in of_norms else 0.01
        left = 1 - 0.5 * decay if weight.requires_grad else 1.0
        torch.testing.assert_close(weight.detach(), before[name] * left)
