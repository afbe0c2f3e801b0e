"""Batch normalisation over the global batch, on the CPU too, where PyTorch's own SyncBatchNorm does not run."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class GlobalBatchNorm(nn.Module):
    """Normalise with mean and variance over all processes (Ioffe & Szegedy 2015, over the global batch).

    Every process must hold the same number of samples, which the sampler guarantees. Takes over the parameters and
    buffers of the layer it replaces, under the same names, so a state dict fits either.

    Args:
        layer: The BatchNorm1d or BatchNorm2d to replace.
    """

    def __init__(self, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__()
        self.eps = layer.eps
        self.momentum = layer.momentum
        self.weight, self.bias = layer.weight, layer.bias
        for name, buffer in layer.named_buffers():
            self.register_buffer(name, buffer)

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x, [B, C] or [B, C, H, W], channel by channel."""
        if not self.training:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        world_size = dist.get_world_size()
        dims = [0, *range(2, x.dim())]
        shape = [1, -1] + [1] * (x.dim() - 2)
        mean = _sum(x.mean(dims)) / world_size
        centred = x - mean.view(shape)
        variance = _sum(centred.square().mean(dims)) / world_size
        self._track(mean.detach(), variance.detach(), count=x.numel() // x.shape[1] * world_size)
        gain = torch.rsqrt(variance + self.eps)
        if self.weight is None:
            return centred * gain.view(shape)
        return centred * (gain * self.weight).view(shape) + self.bias.view(shape)

    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        self.num_batches_tracked += 1
        rate = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, rate)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), rate)


class _SumOverProcesses(torch.autograd.Function):
    """The sum over processes; each one's loss depends on it, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _sum(values: Tensor) -> Tensor:
    total: Tensor = _SumOverProcesses.apply(values)  # type: ignore[no-untyped-call]
    return total


def use_global_statistics(module: nn.Module, device: torch.device) -> nn.Module:
    """Replace every batch normalisation in ``module`` by one over all processes."""
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return converted
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return GlobalBatchNorm(module)
    for name, child in module.named_children():
        setattr(module, name, use_global_statistics(child, device))
    return module
