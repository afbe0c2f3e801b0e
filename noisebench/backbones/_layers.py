"""What several families of backbones are built from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

SE_REDUCTION = 16


class Stage(nn.Sequential):
    """Blocks in order, with names as in `nn.Sequential`.

    With ``checkpointing`` a training step keeps only the input of each block, and computes what is inside anew in
    backward: about a third more time for a fraction of the memory (Chen et al., arXiv 1604.06174). Gradients and
    running statistics are those of a step without it. TorchScript takes a stage without it only.
    """

    __constants__ = ("checkpointing",)  # so that TorchScript leaves out what it could not compile

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__(*blocks)
        self.checkpointing = False

    def forward(self, x: Tensor) -> Tensor:
        """The last block's output."""
        for block in self:
            x = _forget_and_recompute(block, x) if self.checkpointing and self.training else block(x)
        return x


class ResidualBlock(nn.Module):
    """``res_layer(x) + shortcut_layer(x)``, the names of AdaFace's and Face_Pytorch's published weights.

    Args:
        branch: The layers of the residual branch.
        shortcut: What takes the input to the shape of the branch's output.
    """

    def __init__(self, branch: nn.Sequential, shortcut: nn.Module) -> None:
        super().__init__()
        self.shortcut_layer = shortcut
        self.res_layer = branch

    def forward(self, x: Tensor) -> Tensor:
        """Features [B, out_channels, H / stride, W / stride]."""
        features: Tensor = self.res_layer(x) + self.shortcut_layer(x)
        return features


class SqueezeExcitation(nn.Module):
    """Weights each channel by what all of them say on average (Hu et al., CVPR 2018, arXiv 1709.01507, Section 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // SE_REDUCTION, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // SE_REDUCTION, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features of x's shape, [B, channels, H, W]."""
        weights: Tensor = self.fc2(torch.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(weights)


def improved_residual(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """BN, convolution, BN, PReLU, convolution of the stride, BN (Deng et al., arXiv 1801.07698, Section 3.1)."""
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.PReLU(out_channels),
        nn.Conv2d(out_channels, out_channels, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """A shortcut that changes the number of channels: 1 x 1 convolution and BN."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def stem(out_channels: int) -> nn.Sequential:
    """Images to features of the same height and width: convolution, BN, PReLU."""
    return nn.Sequential(
        nn.Conv2d(3, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels), nn.PReLU(out_channels)
    )


def halved(image_size: tuple[int, int], times: int) -> tuple[int, int]:
    """Height and width after so many layers of stride 2, each of which rounds up."""
    height, width = (-(-side // 2**times) for side in image_size)
    return height, width


def _forget_and_recompute(block: nn.Module, x: Tensor) -> Tensor:
    output: Tensor = checkpoint(
        block, x, use_reentrant=False, context_fn=lambda: (nullcontext(), _statistics_untouched(block))
    )
    return output


@contextmanager
def _statistics_untouched(block: nn.Module) -> Iterator[None]:
    """Computing anew must not count a batch twice in the running statistics."""
    layers: list[Any] = [layer for layer in block.modules() if hasattr(layer, "num_batches_tracked")]
    before = [(layer.momentum, layer.num_batches_tracked.clone()) for layer in layers]
    try:
        for layer in layers:
            layer.momentum = 0.0
        yield
    finally:
        for layer, (momentum, num_batches) in zip(layers, before, strict=True):
            layer.momentum = momentum
            layer.num_batches_tracked.copy_(num_batches)
