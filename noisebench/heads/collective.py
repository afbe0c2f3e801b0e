"""Statistics over the global batch: every process gets the same, so that the state they feed stays the same."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def global_mean(values: Tensor) -> Tensor:
    """Mean of the values of all processes, a scalar; the plain mean where there is one process.

    Args:
        values: This process's values, any shape; their number may differ between processes.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return values.mean()
    total = torch.stack([values.sum(), values.new_tensor(float(values.numel()))])
    dist.all_reduce(total)
    return total[0] / total[1]
