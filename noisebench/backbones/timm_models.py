"""Any network of timm as ``timm:NAME``, e.g. ``timm:dpn68``, with weights drawn anew.

Library: Wightman, "PyTorch Image Models", the extra ``timm``. The network's classifier, a linear layer, gives the
embedding. Published weights are not offered.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from noisebench.errors import UserError, did_you_mean

__all__: list[str] = []

LIBRARY = "timm"


def build(model: str, embedding_size: int = 512, image_size: tuple[int, int] = (112, 112)) -> nn.Module:
    """Any network of timm, e.g. timm:dpn68, timm:densenet121, timm:inception_resnet_v2.

    Raises:
        UserError: timm or torchvision does not import; timm has no such model (the nearest is named); or the model does
            not take images of this size, or does not make one vector of an image.
    """
    try:
        import timm
    except (ImportError, RuntimeError) as error:  # a torchvision of another torch raises RuntimeError
        raise UserError(
            f"backbone 'timm:{model}' needs timm and torchvision, which do not import ({error}): "
            f"pip install 'noisebench[timm]', with torchvision from where torch {torch.__version__} came from"
        ) from error
    if not timm.is_model(model):
        nearest = did_you_mean(f"timm:{model}", (f"timm:{name}" for name in timm.list_models()))
        raise UserError(f"unknown backbone 'timm:{model}': {nearest}")
    published = timm.get_pretrained_cfg(model)
    options: dict[str, Any] = {"img_size": image_size} if published and published.fixed_input_size else {}
    try:
        network: nn.Module = timm.create_model(model, num_classes=embedding_size, **options)
        with torch.no_grad():
            shape = tuple(network.eval()(torch.zeros(1, 3, *image_size)).shape)
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        problem = str(error).strip().partition("\n")[0]
        height, width = image_size
        raise UserError(f"backbone 'timm:{model}' does not take images of {height}x{width}: {problem}") from error
    if shape != (1, embedding_size):
        raise UserError(f"backbone 'timm:{model}' makes {shape} of one image: expected (1, {embedding_size})")
    return network.train()
