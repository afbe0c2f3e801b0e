"""The IR-50 that BoundaryFace trains, and the same with the attention that its class is named after.

BoundaryFace (Wu & Xun, ECCV 2022) takes its network from Face_Pytorch: class CBAMResNet, 50 layers, mode "ir", in which
there is no attention: `boundaryface_ir50`. Mode "cbam_ir" adds to each block the attention of Woo et al., "CBAM:
Convolutional Block Attention Module", ECCV 2018, arXiv 1807.06521: `cbam_ir50`. Its spatial attention looks 3 x 3
pixels wide as in Face_Pytorch, not 7 x 7 as in the paper.

Parameters have the names and shapes of Face_Pytorch's cbam.py (112 x 112 images). BoundaryFace trains on images
whose channels are blue, green, red.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from noisebench.backbones._layers import ResidualBlock, Stage, halved, improved_residual, projection, stem

__all__ = ["boundaryface_ir50", "cbam_ir50"]

BLOCKS = (3, 4, 14, 3)
STAGE_CHANNELS = (64, 128, 256, 512)
DROPOUT = 0.4
REDUCTION = 16
SPATIAL_KERNEL = 3


def boundaryface_ir50(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> CBAMResNet:
    """IR-50 as BoundaryFace trains it, without attention: 43.6 million parameters."""
    return CBAMResNet(embedding_size, image_size, attention=False)


def cbam_ir50(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> CBAMResNet:
    """IR-50 with channel and spatial attention in each block: 43.8 million parameters."""
    return CBAMResNet(embedding_size, image_size, attention=True)


class CBAMResNet(nn.Module):
    """Images, float [B, 3, H, W], to embeddings [B, D].

    Args:
        embedding_size: D.
        image_size: H and W.
        attention: End each block's residual branch with channel, then spatial attention.
    """

    def __init__(self, embedding_size: int, image_size: tuple[int, int], attention: bool) -> None:
        super().__init__()
        self.input_layer = stem(STAGE_CHANNELS[0])
        widths = (STAGE_CHANNELS[0], *STAGE_CHANNELS)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _stage(widths[stage], widths[stage + 1], num_blocks, attention) for stage, num_blocks in enumerate(BLOCKS)
        )
        height, width = halved(image_size, times=len(BLOCKS))
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(STAGE_CHANNELS[-1]),
            nn.Dropout(DROPOUT),
            nn.Flatten(),
            nn.Linear(STAGE_CHANNELS[-1] * height * width, embedding_size),
            nn.BatchNorm1d(embedding_size),
        )
        self.apply(_initialize)

    def forward(self, images: Tensor) -> Tensor:
        """Raw embeddings [B, D]."""
        x = self.layer2(self.layer1(self.input_layer(images)))
        embeddings: Tensor = self.output_layer(self.layer4(self.layer3(x)))
        return embeddings


class ChannelAttention(nn.Module):
    """Weights each channel by what their averages and their maxima over the image say (arXiv 1807.06521, eq. 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shared_mlp = nn.Sequential(
            nn.Conv2d(channels, channels // REDUCTION, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels // REDUCTION, channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features of x's shape, [B, channels, H, W]."""
        average, largest = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        weights: Tensor = self.shared_mlp(average) + self.shared_mlp(largest)
        return x * torch.sigmoid(weights)


class SpatialAttention(nn.Module):
    """Weights each place by the average and the maximum over channels around it (arXiv 1807.06521, eq. 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, SPATIAL_KERNEL, padding=SPATIAL_KERNEL // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features of x's shape, [B, C, H, W]."""
        weights: Tensor = self.conv(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1))
        return x * torch.sigmoid(weights)


def _stage(in_channels: int, out_channels: int, num_blocks: int, attention: bool) -> Stage:
    first = ResidualBlock(_branch(in_channels, out_channels, 2, attention), projection(in_channels, out_channels, 2))
    others = (
        ResidualBlock(_branch(out_channels, out_channels, 1, attention), nn.Identity()) for _ in range(num_blocks - 1)
    )
    return Stage(first, *others)


def _branch(in_channels: int, out_channels: int, stride: int, attention: bool) -> nn.Sequential:
    layers = improved_residual(in_channels, out_channels, stride)
    if attention:
        layers.extend([ChannelAttention(out_channels), SpatialAttention()])
    return layers


def _initialize(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
