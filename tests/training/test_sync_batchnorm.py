"""Batch normalisation over two processes equals that of one process with the whole batch."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from noisebench.training.sync_batchnorm import GlobalBatchNorm, use_global_statistics


def _network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Conv2d(2, 4, 3),
            nn.BatchNorm2d(4),
            nn.PReLU(),
            nn.Flatten(),
            nn.Linear(36, 5),
            nn.BatchNorm1d(5, affine=False),
        )


def _batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(8, 2, 5, 5, generator=generator) * 3 + 1, torch.randn(8, 5, generator=generator)


def _half(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    network = use_global_statistics(_network(), torch.device("cpu"))
    images, weights = (part[rank * 4 : rank * 4 + 4] for part in _batch())
    output = network(images)
    ((output * weights).sum() / 4).backward()  # a mean over the rank's own rows, as a loss is
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    for gradient in gradients:
        dist.all_reduce(gradient)
        gradient.div_(2)
    torch.save((output.detach(), gradients, network.state_dict()), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path: Path) -> None:
    processes = [
        multiprocessing.get_context("spawn").Process(target=_half, args=(rank, str(tmp_path))) for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
        assert process.exitcode == 0
    halves = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    network = _network()
    images, weights = _batch()
    output = network(images)
    ((output * weights).sum() / 8).backward()
    torch.testing.assert_close(torch.cat([half[0] for half in halves]), output.detach(), atol=1e-5, rtol=1e-5)
    for found, parameter in zip(halves[0][1], network.parameters(), strict=True):
        torch.testing.assert_close(found, parameter.grad, atol=1e-5, rtol=1e-4)
    for rank in range(2):
        assert halves[rank][2].keys() == network.state_dict().keys()
        for name, value in network.state_dict().items():
            torch.testing.assert_close(halves[rank][2][name], value, atol=1e-5, rtol=1e-5)


def test_every_layer_is_replaced_and_evaluates_as_before() -> None:
    network = _network().eval()
    images, _ = _batch()
    before = network(images)
    replaced = use_global_statistics(network, torch.device("cpu")).eval()
    assert sum(isinstance(layer, GlobalBatchNorm) for layer in replaced.modules()) == 2
    torch.testing.assert_close(replaced(images), before)
