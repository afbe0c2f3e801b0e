"""RecordIO at the scale of MS1MV2: opening an index, and decoding batches; against MXNet where ``.venv-mxnet`` is.

Example: python -m benchmarks.recordio
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch
import typer
from torch import Tensor

from datasets_tools.synthetic import photograph
from noisebench.data.loader import to_network_input
from noisebench.formats import index_cache
from noisebench.formats.face_set import FaceSet, write_face_set

IMAGES, IDENTITIES = 5_822_653, 85_742
BATCH = 128
PHOTOGRAPHS, COPIES = 64, 16
ROUNDS = 5  # the least of them counts: what else the machine does can only add to it

MXNET = Path(__file__).resolve().parents[1] / ".venv-mxnet" / "bin" / "python"

OURS = "from noisebench.formats.record_index import RecordIndex; opened = lambda idx: RecordIndex.read(Path(idx))"
PEERS = {
    "MXNet": "import mxnet; opened = lambda idx: mxnet.recordio.MXIndexedRecordIO(idx, idx, 'r')",
    "plain Python, as MXNet": "opened = lambda idx: {int(k): int(v) for k, v in (l.split('\\t') for l in open(idx))}",
}
MEASURE = """
import json, re, sys, time
from pathlib import Path
{how}
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
before, start, busy = peak(), time.perf_counter(), time.process_time()
index = opened(sys.argv[1])
print(json.dumps([time.perf_counter() - start, time.process_time() - busy, peak(), before]))
"""
MXNET_BATCHES = """
import sys, time
import mxnet as mx, numpy as np, torch
torch.set_num_threads(1)
records = mx.recordio.MXIndexedRecordIO(sys.argv[1] + '/train.idx', sys.argv[1] + '/train.rec', 'r')
def sample(key):
    header, encoded = mx.recordio.unpack(records.read_idx(key))
    image = torch.from_numpy(mx.image.imdecode(encoded).asnumpy())
    return image.permute(2, 0, 1).contiguous().float().div(255).sub(0.5).div(0.5)
start = time.perf_counter()
for first in range(1, {images} + 1 - {batch}, {batch}):
    torch.stack([sample(key) for key in range(first, first + {batch})])
print(time.perf_counter() - start)
"""


class Opened(NamedTuple):
    """How long an index took to open, also in seconds of the processor, and the process's peak memory, in MB.

    ``before`` is the peak before the index was opened.
    """

    seconds: float
    processor: float
    peak: float
    before: float


def main(quick: bool = False) -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        open_index(Path(folder) / "train.idx", scale=20 if quick else 1)
        decode_batches(Path(folder) / "faces", rounds=1 if quick else 3)


def open_index(idx: Path, scale: int) -> None:
    """Time opening an index of as many records as MS1MV2 has, each in a process of its own."""
    write_index(idx, IMAGES // scale, IDENTITIES // scale)
    name, python = ("MXNet", str(MXNET)) if MXNET.exists() else ("plain Python, as MXNet", sys.executable)
    rows: dict[str, list[Opened]] = {name: [], "text": [], "text, writing the cache": [], "cache": []}
    for _ in range(ROUNDS):
        index_cache.path_of(idx).unlink(missing_ok=True)
        rows[name].append(measure(python, PEERS[name], idx))
        os.utime(idx, (time.time() + 3600,) * 2)  # an index this new is not cached yet
        rows["text"].append(measure(sys.executable, OURS, idx))
        os.utime(idx)
        time.sleep(2.1)
        rows["text, writing the cache"].append(measure(sys.executable, OURS, idx))
        rows["cache"].append(measure(sys.executable, OURS, idx))
    peer = min(opened.seconds for opened in rows[name])
    print(f"\n{(IMAGES + IDENTITIES) // scale + 1:,} records; the least of {ROUNDS} rounds\n")
    print("| index opened by | seconds | processor seconds | times faster | peak MB | above its imports |")
    print("| --- | --- | --- | --- | --- | --- |")
    for how, runs in rows.items():
        seconds, processor, peak, before = (min(column) for column in zip(*runs, strict=True))
        ratio = f"{peer / seconds:.1f}"
        print(f"| {how} | {seconds:.4f} | {processor:.4f} | {ratio} | {peak:.0f} | {peak - before:.0f} |")


def write_index(idx: Path, images: int, identities: int) -> None:
    """Write an index as the tools of the InsightFace layout do: images, header, identities; images of 1 to 9 kB."""
    keys = np.concatenate((np.arange(1, images + 1), [0], np.arange(images + 1, images + identities + 1)))
    sizes = np.random.Generator(np.random.Philox(0)).integers(250, 2250, len(keys)) * 4
    sizes[images:] = 40
    offsets = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    pd.DataFrame((keys, offsets)).T.to_csv(idx, sep="\t", header=False, index=False)


def measure(python: str, how: str, idx: Path) -> Opened:
    """Open an index in a process of its own."""
    command = [python, "-c", MEASURE.format(how=how), str(idx)]
    return Opened(*json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def decode_batches(folder: Path, rounds: int) -> None:
    """Time reading and decoding batches, up to the float tensor a network takes."""
    photographs = [photograph(0, "train", number, 0) for number in range(PHOTOGRAPHS)]
    write_face_set(folder, ((jpeg, 0) for jpeg in photographs * COPIES), 1, (112, 112))
    faces, threads = FaceSet.open(folder), os.cpu_count() or 1
    batches = [faces.keys[first : first + BATCH].tolist() for first in range(0, len(faces.keys) - BATCH, BATCH)]
    ways: dict[str, Callable[[], float]] = {"sample by sample, OpenCV": lambda: timed(per_sample, faces, batches)}
    if MXNET.exists():
        ways = {"sample by sample, MXNet": lambda: mxnet_batches(folder)} | ways
    ways["batch, one thread"] = lambda: timed(whole_batch, faces, batches, 1)
    ways[f"batch, {threads} threads"] = lambda: timed(whole_batch, faces, batches, threads)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(way())
    images = len(batches) * BATCH
    print(
        f"\n{images:,} JPEGs of 112x112, {np.mean([len(jpeg) for jpeg in photographs]):.0f} bytes, to float tensors\n"
    )
    peers = [name for name in ways if name.startswith("sample")]
    print(f"| | images a second | {' | '.join(f'times {peer}' for peer in peers)} |")
    print("| --- | --- |" + " --- |" * len(peers))
    for name, times in seconds.items():
        ratios = (f"{median(seconds[peer]) / median(times):.1f}" for peer in peers)
        print(f"| {name} | {images / median(times):,.0f} | {' | '.join(ratios)} |")


def timed(work: Callable[..., Tensor], faces: FaceSet, batches: list[list[int]], *arguments: int) -> float:
    """Seconds for all batches."""
    work(faces, batches[0], *arguments)
    start = time.perf_counter()
    for keys in batches:
        work(faces, keys, *arguments)
    return time.perf_counter() - start


def per_sample(faces: FaceSet, keys: list[int]) -> Tensor:
    """The usual pipeline: each sample is decoded, turned and normalised by itself, then all are stacked."""
    torch.set_num_threads(1)  # as in a worker process of torch's DataLoader
    return torch.stack([sample(faces, key) for key in keys])


def sample(faces: FaceSet, key: int) -> Tensor:
    """One normalised image, float32 [3, H, W]."""
    bgr = cv2.imdecode(np.frombuffer(faces.jpeg(key), dtype=np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None, "the images are sound"
    image = torch.from_numpy(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    return image.permute(2, 0, 1).contiguous().float().div(255).sub(0.5).div(0.5)


def whole_batch(faces: FaceSet, keys: list[int], threads: int) -> Tensor:
    """The loader's way: decoded by threads into one array, normalised together."""
    torch.set_num_threads(threads)
    images = np.empty((len(keys), *faces.image_size, 3), dtype=np.uint8)
    faces.read_images(keys, images, threads)
    return to_network_input(torch.from_numpy(images), torch.device("cpu"))


def mxnet_batches(folder: Path) -> float:
    """Seconds for as many batches through MXNet, in its own environment."""
    script = MXNET_BATCHES.format(images=PHOTOGRAPHS * COPIES, batch=BATCH)
    command = [str(MXNET), "-c", script, str(folder)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    typer.run(main)
