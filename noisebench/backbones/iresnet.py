"""IResNet, the residual network of insightface: 18 to 2060 layers.

Papers: Duta et al., "Improved Residual Networks for Image and Video Recognition", arXiv 2004.04989, for the block;
Deng et al., "ArcFace", CVPR 2019, arXiv 1801.07698, for the rest: the image is not shrunk before the first stage, and
the embedding is made by BN, dropout, a fully connected layer and BN.

Parameters have the names, shapes and order of insightface's arcface_torch, so that its published state dicts load with
``strict=True`` (112 x 112 images, 512-dimensional embeddings). The gain of the last normalisation is fixed at 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from noisebench.backbones._layers import Stage, halved

__all__ = ["iresnet18", "iresnet34", "iresnet50", "iresnet100", "iresnet200", "iresnet2060"]

STAGE_CHANNELS = (64, 128, 256, 512)
CONVOLUTION_STD = 0.1


def iresnet18(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IResNet:
    """IResNet-18 of arcface_torch: 24.0 million parameters."""
    return IResNet((2, 2, 2, 2), embedding_size, image_size)


def iresnet34(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IResNet:
    """IResNet-34 of arcface_torch: 34.1 million parameters."""
    return IResNet((3, 4, 6, 3), embedding_size, image_size)


def iresnet50(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IResNet:
    """IResNet-50 of arcface_torch: 43.6 million parameters."""
    return IResNet((3, 4, 14, 3), embedding_size, image_size)


def iresnet100(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IResNet:
    """IResNet-100 of arcface_torch: 65.2 million parameters."""
    return IResNet((3, 13, 30, 3), embedding_size, image_size)


def iresnet200(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IResNet:
    """IResNet-200 of arcface_torch: 118.8 million parameters."""
    return IResNet((6, 26, 60, 6), embedding_size, image_size)


def iresnet2060(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IResNet:
    """IResNet-2060 of arcface_torch, to be trained with checkpointing: 1,122.3 million parameters."""
    return IResNet((3, 128, 896, 3), embedding_size, image_size)


class IResNet(nn.Module):
    """Images, float [B, 3, H, W], to embeddings [B, D].

    Args:
        num_blocks: Blocks of each of the four stages.
        embedding_size: D.
        image_size: H and W.
        dropout: Probability of dropping a feature before the fully connected layer.
    """

    def __init__(
        self, num_blocks: tuple[int, ...], embedding_size: int, image_size: tuple[int, int], dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.conv1 = _convolution(3, STAGE_CHANNELS[0], size=3)
        self.bn1 = nn.BatchNorm2d(STAGE_CHANNELS[0])
        self.prelu = nn.PReLU(STAGE_CHANNELS[0])
        widths = (STAGE_CHANNELS[0], *STAGE_CHANNELS)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _stage(widths[stage], widths[stage + 1], blocks) for stage, blocks in enumerate(num_blocks)
        )
        self.bn2 = nn.BatchNorm2d(STAGE_CHANNELS[-1])
        self.dropout = nn.Dropout(dropout)
        height, width = halved(image_size, times=len(STAGE_CHANNELS))
        self.fc = nn.Linear(STAGE_CHANNELS[-1] * height * width, embedding_size)
        self.features = nn.BatchNorm1d(embedding_size)
        self.features.weight.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Raw embeddings [B, D]."""
        x = self.prelu(self.bn1(self.conv1(images)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = self.dropout(torch.flatten(self.bn2(x), start_dim=1))
        embeddings: Tensor = self.features(self.fc(x))
        return embeddings


class IBasicBlock(nn.Module):
    """BN, convolution, BN, PReLU, convolution, BN, added to the input; the second convolution has the stride."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = _convolution(in_channels, out_channels, size=3)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.prelu = nn.PReLU(out_channels)
        self.conv2 = _convolution(out_channels, out_channels, size=3, stride=stride)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            shortcut = _convolution(in_channels, out_channels, size=1, stride=stride)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Features [B, out_channels, H / stride, W / stride]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        features: Tensor = self.bn3(self.conv2(x)) + shortcut
        return features


def _stage(in_channels: int, out_channels: int, num_blocks: int) -> Stage:
    first = IBasicBlock(in_channels, out_channels, stride=2)
    return Stage(first, *(IBasicBlock(out_channels, out_channels, stride=1) for _ in range(num_blocks - 1)))


def _convolution(in_channels: int, out_channels: int, size: int, stride: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(in_channels, out_channels, size, stride, padding=size // 2, bias=False)
    nn.init.normal_(layer.weight, 0, CONVOLUTION_STD)
    return layer
