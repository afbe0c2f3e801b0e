"""MobileFaceNet, and the wider ones of insightface.

Paper: Chen et al., "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on Mobile Devices", CCBR
2018, arXiv 1804.07573, Table 1, for `mobilefacenet`. `mbf` and `mbf_large` are what insightface calls MobileFaceNet:
two and four times the channels between blocks, and in `mbf_large` twice the blocks.

Parameters of these two have the names, shapes and order of arcface_torch's mobilefacenet.py, so that state dicts it
saved load with ``strict=True`` (112 x 112 images, 512-dimensional embeddings).
"""

from __future__ import annotations

from torch import Tensor, nn

from noisebench.backbones._layers import Stage, halved

__all__ = ["mbf", "mbf_large", "mobilefacenet"]

LAST_CHANNELS = 512


def mobilefacenet(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> MobileFaceNet:
    """MobileFaceNet as in its paper: 1.20 million parameters."""
    return MobileFaceNet((1, 4, 6, 2), 1, embedding_size, image_size)


def mbf(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> MobileFaceNet:
    """MobileFaceNet of arcface_torch, twice as wide as its paper's: 2.06 million parameters."""
    return MobileFaceNet((1, 4, 6, 2), 2, embedding_size, image_size)


def mbf_large(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> MobileFaceNet:
    """MobileFaceNet of arcface_torch, four times as wide as its paper's: 6.31 million parameters."""
    return MobileFaceNet((2, 8, 12, 4), 4, embedding_size, image_size)


class MobileFaceNet(nn.Module):
    """Images, float [B, 3, H, W], to embeddings [B, D].

    Args:
        num_blocks: Residual blocks of each of the four stages; a first stage of 1 is a grouped convolution instead.
        scale: Factor to the channels between blocks; inside of blocks there are as many as in the paper.
        embedding_size: D.
        image_size: H and W.
    """

    def __init__(
        self, num_blocks: tuple[int, int, int, int], scale: int, embedding_size: int, image_size: tuple[int, int]
    ) -> None:
        super().__init__()
        narrow, wide = 64 * scale, 128 * scale
        if num_blocks[0] == 1:
            first: nn.Module = convolution(narrow, narrow, size=3, groups=64)
        else:
            first = residual_blocks(narrow, 128, num_blocks[0])
        self.layers = Stage(
            convolution(3, narrow, size=3, stride=2),
            first,
            inverted_bottleneck(narrow, 128, narrow, stride=2),
            residual_blocks(narrow, 128, num_blocks[1]),
            inverted_bottleneck(narrow, 256, wide, stride=2),
            residual_blocks(wide, 256, num_blocks[2]),
            inverted_bottleneck(wide, 512, wide, stride=2),
            residual_blocks(wide, 256, num_blocks[3]),
        )
        self.conv_sep = convolution(wide, LAST_CHANNELS, size=1)
        whole = nn.Conv2d(LAST_CHANNELS, LAST_CHANNELS, halved(image_size, times=4), groups=LAST_CHANNELS, bias=False)
        self.features = Layers(
            Layers(whole, nn.BatchNorm2d(LAST_CHANNELS)),
            nn.Flatten(),
            nn.Linear(LAST_CHANNELS, embedding_size, bias=False),
            nn.BatchNorm1d(embedding_size),
        )
        self.apply(_initialize)

    def forward(self, images: Tensor) -> Tensor:
        """Raw embeddings [B, D]."""
        embeddings: Tensor = self.features(self.conv_sep(self.layers(images)))
        return embeddings


class Layers(nn.Module):
    """Layers in order, whose names begin with ``layers`` as in the published weights.

    Args:
        layers: The layers.
        residual: Add the input to their output.
    """

    def __init__(self, *layers: nn.Module, residual: bool = False) -> None:
        super().__init__()
        self.residual = residual
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """The last layer's output."""
        output: Tensor = self.layers(x)
        return x + output if self.residual else output


def convolution(in_channels: int, out_channels: int, size: int, stride: int = 1, groups: int = 1) -> Layers:
    """Convolution that rounds sides up, BN, PReLU."""
    return Layers(
        nn.Conv2d(in_channels, out_channels, size, stride, padding=size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.PReLU(out_channels),
    )


def inverted_bottleneck(
    in_channels: int, inner: int, out_channels: int, stride: int = 1, residual: bool = False
) -> Layers:
    """Widen to the inner channels, convolve each by itself, and narrow without a non-linearity (arXiv 1801.04381)."""
    narrowing = nn.Conv2d(inner, out_channels, 1, bias=False)
    return Layers(
        convolution(in_channels, inner, size=1),
        convolution(inner, inner, size=3, stride=stride, groups=inner),
        Layers(narrowing, nn.BatchNorm2d(out_channels)),
        residual=residual,
    )


def residual_blocks(channels: int, inner: int, num_blocks: int) -> Layers:
    """Inverted bottlenecks, each added to its input."""
    return Layers(*(inverted_bottleneck(channels, inner, channels, residual=True) for _ in range(num_blocks)))


def _initialize(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
