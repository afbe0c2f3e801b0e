"""A small improved-residual network for the CPU: about 13 million multiply-adds for an image of 112 x 112.

The block is that of IResNet (see ``iresnet.py``), but the stride is on its first convolution, and a stem of 4 x 4
patches takes the image to a quarter of its side at once. It is for studies that need many trainings rather than a high
score.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from noisebench.backbones._layers import Stage, halved, projection

__all__ = ["small_ir"]

WIDTHS = (16, 48, 96)
STEM_STRIDE = 4


def small_ir(embedding_size: int = 128, image_size: tuple[int, int] = (112, 112)) -> SmallIR:
    """A small improved-residual network for a CPU: 0.76 million parameters.

    At 112 x 112 pixels: 0.16 million, and 4,707 more for each dimension of the embedding.
    """
    return SmallIR(embedding_size, image_size)


class SmallIR(nn.Module):
    """Images, float [B, 3, H, W], to embeddings [B, D].

    Args:
        embedding_size: D.
        image_size: H and W.
    """

    def __init__(self, embedding_size: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, WIDTHS[0], STEM_STRIDE, STEM_STRIDE, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.PReLU(WIDTHS[0]),
        )
        self.blocks = Stage(Block(WIDTHS[0], WIDTHS[1]), Block(WIDTHS[1], WIDTHS[2]))
        height, width = halved((image_size[0] // STEM_STRIDE, image_size[1] // STEM_STRIDE), times=len(self.blocks))
        self.norm = nn.BatchNorm2d(WIDTHS[2])
        self.fc = nn.Linear(WIDTHS[2] * height * width, embedding_size)
        self.features = nn.BatchNorm1d(embedding_size)
        self.features.weight.requires_grad_(False)  # embeddings are compared by direction: their length needs no gain

    def forward(self, images: Tensor) -> Tensor:
        """Raw embeddings [B, D]."""
        x = self.norm(self.blocks(self.stem(images)))
        embeddings: Tensor = self.features(self.fc(torch.flatten(x, start_dim=1)))
        return embeddings


class Block(nn.Module):
    """BN, convolution of stride 2, BN, PReLU, convolution, BN, added to a projection of the input."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.PReLU(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = projection(in_channels, out_channels, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Features [B, out_channels, H / 2, W / 2]."""
        features: Tensor = self.residual(x) + self.shortcut(x)
        return features
