"""Many processes, with the classes split or replicated: the loss, gradients, rows and state one process finds."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.class_head import ClassHead
from noisebench.heads.head import Head
from noisebench.training.distributed import Process

NUM_CLASSES, SIZE, BATCH = 7, 5, 12  # 7 classes go into neither 2 nor 3 processes
OPTIONS: list[dict[str, Any]] = [{"sub_centres": 3}, {"filter_threshold": 0.2}, {"chunk_size": 2}]
STEPS = 3
NAMES = [name for name in methods.names() if issubclass(methods.find(name), ClassHead)]
CASES = [(name, {"mode": mode}) for name in NAMES for mode in ("dense", "sharded")]
CASES += [(name, {"mode": "sharded"} | options) for name in ("curricularface", "boundaryf1") for options in OPTIONS]


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return torch.randn(BATCH, SIZE, generator=generator), torch.randint(NUM_CLASSES, (BATCH,), generator=generator)


def build(name: str, options: dict[str, Any]) -> Head:
    return methods.create(name, num_classes=NUM_CLASSES, embedding_size=SIZE, scale=8.0, **options).double()


def train(name: str, options: dict[str, Any], rank: int = 0, world_size: int = 1) -> dict[str, Any]:
    """A few steps of training; all that must not depend on the number of processes, put together again."""
    head = build(name, options)
    process = Process(rank, world_size, torch.device("cpu"))
    optimizer = torch.optim.SGD(head.parameters(), lr=1e-3, momentum=0.9)
    share = slice(rank * BATCH // world_size, (rank + 1) * BATCH // world_size)
    found: dict[str, Any] = {"loss": [], "gradient": [], "rows": []}
    for step in range(STEPS):
        head.begin_epoch(step, STEPS)
        embeddings, labels = batch(step)
        mine = embeddings[share].double().requires_grad_()
        output = head(mine, labels[share], labels[share].flip(0))
        optimizer.zero_grad()
        output.loss.backward()
        process.average(weight.grad for weight in head.replicated_parameters() if weight.grad is not None)
        optimizer.step()
        loss = output.loss.detach().clone()
        process.average([loss])
        assert mine.grad is not None
        found["loss"].append(loss)
        found["gradient"].append(mine.grad / world_size)  # averaged over the processes in what lies before
        found["rows"].append(vars(output.rows))
    found["head"] = {**head.state_dict(), "centres": head.gather_rows(head.centres.detach())}
    found["momentum"] = head.gather_rows(optimizer.state[head.centres]["momentum_buffer"])
    found["class_centres"] = head.class_centres()
    return found


def _work(rank: int, world_size: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world_size)
    torch.save([train(name, options, rank, world_size) for name, options in CASES], f"{folder}/{rank}.pt")
    _check_sampled_shards(rank, world_size)
    if world_size == 3:
        with pytest.raises(UserError, match="mode is 'sharded', but 2 classes do not go round 3 processes"):
            methods.create("softmax", num_classes=2, embedding_size=2, mode="sharded")
    dist.destroy_process_group()


def _check_sampled_shards(rank: int, world_size: int) -> None:
    """Each shard draws a sample of its own; the loss is that of a head of all sampled classes."""
    embeddings, labels = batch(0)
    share = slice(rank * BATCH // world_size, (rank + 1) * BATCH // world_size)
    labels = labels % 3  # leaves classes that no label asks for
    head = methods.create("cosface", num_classes=60, embedding_size=SIZE, mode="sharded", sample_rate=0.4)
    assert isinstance(head, ClassHead)
    output = head(embeddings[share], labels[share])
    output.loss.backward()
    assert head.sample is not None
    samples: list[Any] = [None] * world_size
    dist.all_gather_object(samples, (head.sample + head.classes.start).tolist())
    sampled = torch.tensor(sorted(row for sample in samples for row in sample))
    assert len(sampled) < 60
    alone = methods.create("cosface", num_classes=len(sampled), embedding_size=SIZE)
    with torch.no_grad():
        alone.centres.copy_(head.gather_rows(head.centres)[sampled])
    expected = alone(embeddings, torch.searchsorted(sampled, labels))
    torch.testing.assert_close(output.loss, expected.loss)
    torch.testing.assert_close(output.rows.nearest, sampled[expected.rows.nearest][share])


@pytest.fixture(scope="module", params=[1, 2, 3])
def runs(request: pytest.FixtureRequest) -> Iterator[list[list[dict[str, Any]]]]:
    """What each process found, case by case."""
    with tempfile.TemporaryDirectory() as folder:
        spawn(_work, args=(request.param, folder), nprocs=request.param)  # type: ignore[no-untyped-call]
        yield [torch.load(Path(folder) / f"{rank}.pt") for rank in range(request.param)]


@pytest.mark.parametrize("case", range(len(CASES)), ids=[f"{name}-{options}" for name, options in CASES])
def test_processes_find_what_one_finds(runs: list[list[dict[str, Any]]], case: int) -> None:
    name, options = CASES[case]
    alone = train(name, {key: value for key, value in options.items() if key != "chunk_size"} | {"mode": "dense"})
    shards = [run[case] for run in runs]
    for step in range(STEPS):
        gradient = torch.cat([shard["gradient"][step] for shard in shards])
        torch.testing.assert_close(gradient, alone["gradient"][step])
        for key, expected in alone["rows"][step].items():
            if key != "cosine_true":  # the true labels were those of another sample
                torch.testing.assert_close(torch.cat([shard["rows"][step][key] for shard in shards]), expected)
    for shard in shards:
        for key in ("loss", "head", "momentum", "class_centres"):
            torch.testing.assert_close(shard[key], alone[key])
