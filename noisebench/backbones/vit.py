"""Vision transformers of insightface: tiny, small and base.

Papers: Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, arXiv 2010.11929, for the blocks; Huang et al.,
"Deep Networks with Stochastic Depth", arXiv 1603.09382, for the dropped branches. Patches are 9 x 9 pixels; what is
left over at the right and the bottom (4 pixels of 112) is not seen. There is no class token: the embedding is made of
all tokens by two linear layers with BN. While training, some tokens are left out of the blocks, and a learned one takes
their place.

Parameters have the names and shapes of arcface_torch's vit.py, so that state dicts it saved load with ``strict=True``
(112 x 112 images, 512-dimensional embeddings).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from noisebench.backbones._layers import Stage

__all__ = ["vit_b", "vit_b_dp005_mask_005", "vit_s", "vit_s_dp005_mask_0", "vit_t", "vit_t_dp005_mask0"]

PATCH_SIZE = 9
NUM_HEADS = 8
MLP_RATIO = 4
INITIAL_STD = 0.02
EMBEDDING_EPS = 2e-5


def vit_t(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> VisionTransformer:
    """ViT-T of arcface_torch: 19.1 million parameters."""
    return VisionTransformer(256, 12, embedding_size, image_size, drop_path=0.1, masked=0.1)


def vit_t_dp005_mask0(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> VisionTransformer:
    """ViT-T of arcface_torch, as trained on WebFace42M: 19.1 million parameters."""
    return VisionTransformer(256, 12, embedding_size, image_size, drop_path=0.05, masked=0.0)


def vit_s(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> VisionTransformer:
    """ViT-S of arcface_torch: 76.0 million parameters."""
    return VisionTransformer(512, 12, embedding_size, image_size, drop_path=0.1, masked=0.1)


def vit_s_dp005_mask_0(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> VisionTransformer:
    """ViT-S of arcface_torch, as trained on WebFace42M: 76.0 million parameters."""
    return VisionTransformer(512, 12, embedding_size, image_size, drop_path=0.05, masked=0.0)


def vit_b(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> VisionTransformer:
    """ViT-B of arcface_torch: 113.8 million parameters."""
    return VisionTransformer(512, 24, embedding_size, image_size, drop_path=0.1, masked=0.1)


def vit_b_dp005_mask_005(embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> VisionTransformer:
    """ViT-B of arcface_torch, as trained on WebFace42M: 113.8 million parameters."""
    return VisionTransformer(512, 24, embedding_size, image_size, drop_path=0.05, masked=0.05)


class VisionTransformer(nn.Module):
    """Images, float [B, 3, H, W], to embeddings [B, D].

    Args:
        width: Length of a token.
        num_blocks: Blocks of attention and multi-layer perceptron.
        embedding_size: D.
        image_size: H and W.
        drop_path: Probability of dropping a branch of the last block; it grows linearly from 0 at the first.
        masked: Share of the tokens that a training step leaves out.
    """

    def __init__(
        self,
        width: int,
        num_blocks: int,
        embedding_size: int,
        image_size: tuple[int, int],
        *,
        drop_path: float,
        masked: float,
    ) -> None:
        super().__init__()
        num_patches = (image_size[0] // PATCH_SIZE) * (image_size[1] // PATCH_SIZE)
        self.num_kept = int(num_patches * (1 - masked))
        self.pos_embed = nn.Parameter(torch.empty(1, num_patches, width))
        self.mask_token = nn.Parameter(torch.empty(1, 1, width), requires_grad=masked > 0)
        self.patch_embed = PatchEmbedding(width)
        steps = max(num_blocks - 1, 1)
        self.blocks = Stage(*(Block(width, drop_path * number / steps) for number in range(num_blocks)))
        self.norm = nn.LayerNorm(width)
        self.feature = nn.Sequential(
            nn.Linear(width * num_patches, width, bias=False),
            nn.BatchNorm1d(width, eps=EMBEDDING_EPS),
            nn.Linear(width, embedding_size, bias=False),
            nn.BatchNorm1d(embedding_size, eps=EMBEDDING_EPS),
        )
        nn.init.trunc_normal_(self.pos_embed, std=INITIAL_STD)
        nn.init.normal_(self.mask_token, std=INITIAL_STD)
        self.apply(_initialize)

    def forward(self, images: Tensor) -> Tensor:
        """Raw embeddings [B, D]."""
        tokens: Tensor = self.patch_embed(images) + self.pos_embed
        if self.training and self.num_kept < tokens.shape[1]:
            tokens = self._transform_some(tokens)
        else:
            tokens = self.norm(self.blocks(tokens))
        embeddings: Tensor = self.feature(torch.flatten(tokens, start_dim=1))
        return embeddings

    def _transform_some(self, tokens: Tensor) -> Tensor:
        """Tokens [B, N, width]: a random `num_kept` of each image transformed, the mask token for the others."""
        batch, num_tokens, width = tokens.shape
        places = torch.rand(batch, num_tokens, device=tokens.device).argsort(dim=1)[:, : self.num_kept]
        places = places.unsqueeze(-1).expand(-1, -1, width)
        kept: Tensor = self.norm(self.blocks(tokens.gather(1, places)))
        return self.mask_token.to(kept.dtype).expand(batch, num_tokens, width).scatter(1, places, kept)


class PatchEmbedding(nn.Module):
    """Images [B, 3, H, W] to tokens [B, N, width], one a patch, row by row."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH_SIZE, PATCH_SIZE)

    def forward(self, images: Tensor) -> Tensor:
        """Tokens without their places."""
        patches: Tensor = self.proj(images)
        return patches.flatten(2).transpose(1, 2)


class Block(nn.Module):
    """Attention, then a multi-layer perceptron, each normalised before and added to its input."""

    def __init__(self, width: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.attn = Attention(width)
        self.drop_path = DropPath(drop_path)
        self.mlp = MLP(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [B, N, width]."""
        attended: Tensor = tokens + self.drop_path(self.attn(self.norm1(tokens)))
        transformed: Tensor = attended + self.drop_path(self.mlp(self.norm2(attended)))
        return transformed


class Attention(nn.Module):
    """Self-attention of several heads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_heads = NUM_HEADS
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [B, N, width]."""
        batch, num_tokens, width = tokens.shape
        parts: Tensor = self.qkv(tokens).view(batch, num_tokens, 3, self.num_heads, width // self.num_heads)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4).unbind(0)
        heads = F.scaled_dot_product_attention(queries, keys, values)
        attended: Tensor = self.proj(heads.transpose(1, 2).reshape(batch, num_tokens, width))
        return attended


class MLP(nn.Module):
    """Linear, ReLU6, linear."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, MLP_RATIO * width)
        self.fc2 = nn.Linear(MLP_RATIO * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [B, N, width]."""
        transformed: Tensor = self.fc2(F.relu6(self.fc1(tokens)))
        return transformed


class DropPath(nn.Module):
    """While training, nothing for some of the images, and the more for the others, so that the mean is kept."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [B, N, width]."""
        if not self.training or self.probability == 0:
            return tokens
        stays = torch.rand(tokens.shape[0], 1, 1, device=tokens.device) >= self.probability
        return tokens * (stays / (1 - self.probability)).to(tokens.dtype)


def _initialize(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        nn.init.trunc_normal_(layer.weight, std=INITIAL_STD)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
