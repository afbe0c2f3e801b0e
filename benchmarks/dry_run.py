"""How right a dry run is: what it says of a run's time and memory, over what a short run of the same set-up takes.

    python -m benchmarks.dry_run [--backbones iresnet50,iresnet100] [--classes 85742,360232] [--batch 32] [--steps 6]

Each set-up is estimated in a process of its own and then benched by the command line, once, on a few synthetic faces of
as many classes. The time of the short run holds the end of its epoch, with logs and a checkpoint, as a real one's does;
its memory is the most its training process had resident.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SIZE = 112
PAIRS = 10
SUITE = """
name: suite
description: A few steps of a large set-up.
backbone: {{name: {backbone}, embedding_size: 512}}
training:
  epochs: 1
  batch_size: {batch}
  schedule: {{kind: poly, learning_rate: 0.01, power: 1.0}}
head: {{scale: 64.0}}
methods: {{arcface: {{}}}}
"""


@dataclass(frozen=True)
class SetUp:
    """One of the table's rows, and the folder it is tried in."""

    backbone: str
    classes: int
    batch: int
    steps: int
    folder: Path

    @property
    def suite(self) -> Path:
        """The suite's YAML."""
        return self.folder / "suite.yaml"

    @property
    def data(self) -> Path:
        """The training set, with a verification set beside it."""
        return self.folder / "data"


def main() -> None:
    """Print the table, a row as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backbones", default="iresnet50,iresnet100")
    parser.add_argument("--classes", default="85742,360232")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=6)
    chosen = parser.parse_args()
    print("| backbone | classes | s a step: said | taken | ratio | GB: said | taken | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for backbone in chosen.backbones.split(","):
        for classes in map(int, chosen.classes.split(",")):
            with tempfile.TemporaryDirectory(prefix="noisebench-") as scratch:
                set_up = SetUp(backbone, classes, chosen.batch, chosen.steps, Path(scratch))
                write(set_up)
                print(row(set_up, estimated(set_up), taken(set_up)), flush=True)


def write(set_up: SetUp) -> None:
    """A suite, a set of which the last class has half of the images, and a verification set."""
    import numpy as np

    from datasets_tools.synthetic import photograph
    from noisebench.formats import verification_bin
    from noisebench.formats.face_set import write_face_set

    num_images = set_up.batch * set_up.steps
    labels = [min(image, set_up.classes - 1) for image in range(num_images // 2)]
    labels += [set_up.classes - 1] * (num_images - len(labels))
    photographs = [photograph(0, "train", number, 0, SIZE) for number in range(2 * PAIRS)]
    images = [(photographs[row % len(photographs)], label) for row, label in enumerate(labels)]
    write_face_set(set_up.data, images, set_up.classes, (SIZE, SIZE))
    verification_bin.write(set_up.data / "pairs.bin", photographs, np.arange(PAIRS) % 2 == 0)
    text = SUITE.format(backbone=set_up.backbone, batch=set_up.batch)
    set_up.suite.write_text(text, encoding="utf-8")


def estimated(set_up: SetUp) -> tuple[float, int]:
    """Seconds of a step and bytes of memory as the dry run says, from a process that has done nothing else."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_estimate, (set_up,))


def _estimate(set_up: SetUp) -> tuple[float, int]:
    import torch

    from noisebench.bench.dry_run import estimate
    from noisebench.bench.layout import cores
    from noisebench.bench.plan import plan
    from noisebench.bench.request import Request
    from noisebench.training.distributed import join

    torch.set_num_threads(cores())
    request = Request(
        suite=str(set_up.suite), noise=("clean",), data=set_up.data, results=set_up.folder / "dry", device="cpu"
    )
    cell = plan(request, lambda _: None)[0]
    with join(request.device, request.timeout_minutes) as process:
        said = estimate(cell, process, cores(), request.num_processes)
    return said.speed.seconds, said.memory.total


def taken(set_up: SetUp) -> tuple[float, int]:
    """Seconds of a step and bytes of memory that a bench's record tells."""
    places = ["--suite", set_up.suite, "--data", set_up.data, "--results", set_up.folder / "results"]
    command = [sys.executable, "-m", "noisebench", "bench", "--noise", "clean", "--device", "cpu", *places]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    (path,) = set_up.folder.rglob("result.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    return record["timings"]["train"] / set_up.steps, record["peak_memory"]


def row(set_up: SetUp, said: tuple[float, int], took: tuple[float, int]) -> str:
    """A line of the table."""
    seconds, memory = zip(said, took, strict=True)
    cells = [set_up.backbone, f"{set_up.classes:,}", f"{seconds[0]:.2f}", f"{seconds[1]:.2f}"]
    cells += [f"{seconds[0] / seconds[1]:.2f}", f"{memory[0] / 1e9:.2f}", f"{memory[1] / 1e9:.2f}"]
    return f"| {' | '.join([*cells, f'{memory[0] / memory[1]:.2f}'])} |"


if __name__ == "__main__":
    main()
