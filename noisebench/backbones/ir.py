"""IR and IR-SE, the residual networks of AdaFace: 18 to 200 layers, without and with squeeze and excitation.

Papers: Deng et al., "ArcFace", CVPR 2019, arXiv 1801.07698, for the block; Hu et al., "Squeeze-and-Excitation
Networks", CVPR 2018, arXiv 1709.01507; Kim et al., "AdaFace", CVPR 2022, arXiv 2204.00964, which trains them. Networks
of more than 101 layers have bottleneck blocks of 1 x 1, 3 x 3 and 1 x 1 convolutions and four times the channels.

Parameters have the names, shapes and order of AdaFace's net.py, so that weights it saved load with ``strict=True``
(112 x 112 images, 512-dimensional embeddings; in its checkpoints the names begin with ``model.``, which is to be taken
off). AdaFace trains on images whose channels are blue, green, red. The networks differ from those of ``iresnet.py``
where a stage begins with as many channels as it is given: the shortcut then only leaves out pixels.
"""

from __future__ import annotations

from torch import Tensor, nn

from noisebench.backbones._layers import (
    ResidualBlock,
    SqueezeExcitation,
    Stage,
    halved,
    improved_residual,
    projection,
    stem,
)

__all__ = [
    "ir_18",
    "ir_34",
    "ir_50",
    "ir_101",
    "ir_152",
    "ir_200",
    "ir_se_50",
    "ir_se_101",
    "ir_se_152",
    "ir_se_200",
]

BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 14, 3),
    101: (3, 13, 30, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
MOST_LAYERS_OF_BASIC_BLOCKS = 101
STEM_CHANNELS = 64
STAGE_CHANNELS = (64, 128, 256, 512)
BOTTLENECK_EXPANSION = 4
DROPOUT = 0.4


def ir_18(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IR:
    """IR-18 of AdaFace: 24.0 million parameters."""
    return IR(18, embedding_size, image_size)


def ir_34(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IR:
    """IR-34 of AdaFace: 34.1 million parameters."""
    return IR(34, embedding_size, image_size)


def ir_50(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IR:
    """IR-50 of AdaFace: 43.6 million parameters."""
    return IR(50, embedding_size, image_size)


def ir_101(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IR:
    """IR-101 of AdaFace: 65.2 million parameters."""
    return IR(101, embedding_size, image_size)


def ir_152(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IR:
    """IR-152 of AdaFace, of bottleneck blocks: 109.6 million parameters."""
    return IR(152, embedding_size, image_size)


def ir_200(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IR:
    """IR-200 of AdaFace, of bottleneck blocks: 114.1 million parameters."""
    return IR(200, embedding_size, image_size)


def ir_se_50(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IR:
    """IR-SE-50 of AdaFace: 43.8 million parameters."""
    return IR(50, embedding_size, image_size, squeeze_excitation=True)


def ir_se_101(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IR:
    """IR-SE-101 of AdaFace: 65.5 million parameters."""
    return IR(101, embedding_size, image_size, squeeze_excitation=True)


def ir_se_152(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IR:
    """IR-SE-152 of AdaFace, of bottleneck blocks: 116.2 million parameters."""
    return IR(152, embedding_size, image_size, squeeze_excitation=True)


def ir_se_200(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> IR:
    """IR-SE-200 of AdaFace, of bottleneck blocks: 121.2 million parameters."""
    return IR(200, embedding_size, image_size, squeeze_excitation=True)


class IR(nn.Module):
    """Images, float [B, 3, H, W], to embeddings [B, D].

    Args:
        num_layers: A key of `BLOCKS`.
        embedding_size: D.
        image_size: H and W.
        squeeze_excitation: End each block's residual branch with it.
    """

    def __init__(
        self, num_layers: int, embedding_size: int, image_size: tuple[int, int], squeeze_excitation: bool = False
    ) -> None:
        super().__init__()
        bottleneck = num_layers > MOST_LAYERS_OF_BASIC_BLOCKS
        expansion = BOTTLENECK_EXPANSION if bottleneck else 1
        blocks: list[nn.Module] = []
        channels = STEM_CHANNELS
        for num_blocks, width in zip(BLOCKS[num_layers], STAGE_CHANNELS, strict=True):
            for number in range(num_blocks):
                stride = 1 if number else 2
                blocks.append(_block(channels, width * expansion, stride, bottleneck, squeeze_excitation))
                channels = width * expansion
        height, width = halved(image_size, times=len(STAGE_CHANNELS))
        self.input_layer = stem(STEM_CHANNELS)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Dropout(DROPOUT),
            nn.Flatten(),
            nn.Linear(channels * height * width, embedding_size),
            nn.BatchNorm1d(embedding_size, affine=False),
        )
        self.body = Stage(*blocks)
        self.apply(_initialize)

    def forward(self, images: Tensor) -> Tensor:
        """Raw embeddings [B, D]."""
        embeddings: Tensor = self.output_layer(self.body(self.input_layer(images)))
        return embeddings


def _block(
    in_channels: int, out_channels: int, stride: int, bottleneck: bool, squeeze_excitation: bool
) -> ResidualBlock:
    branch = (_bottleneck if bottleneck else improved_residual)(in_channels, out_channels, stride)
    if squeeze_excitation:
        branch.add_module("se_block", SqueezeExcitation(out_channels))
    if in_channels == out_channels:
        return ResidualBlock(branch, nn.MaxPool2d(1, stride))
    return ResidualBlock(branch, projection(in_channels, out_channels, stride))


def _bottleneck(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """The stride is on the last convolution."""
    inner = out_channels // BOTTLENECK_EXPANSION
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.Conv2d(in_channels, inner, 1, bias=False),
        nn.BatchNorm2d(inner),
        nn.PReLU(inner),
        nn.Conv2d(inner, inner, 3, padding=1, bias=False),
        nn.BatchNorm2d(inner),
        nn.PReLU(inner),
        nn.Conv2d(inner, out_channels, 1, stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def _initialize(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
