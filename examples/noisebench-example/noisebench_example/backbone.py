"""A backbone: a function that builds a network of the size it is asked for."""

from __future__ import annotations

from torch import nn


def example_net(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> nn.Module:
    """Example: three convolutions of stride 4, 2 and 2: 0.16 million parameters.

    Images, float [B, 3, H, W] in [-1, 1], to raw embeddings [B, embedding_size].
    """
    layers: list[nn.Module] = []
    for channels, more, stride in ((3, 16, 4), (16, 32, 2), (32, 64, 2)):
        layers += [nn.Conv2d(channels, more, 3, stride, padding=1, bias=False), nn.BatchNorm2d(more), nn.PReLU(more)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * 64, embedding_size))
