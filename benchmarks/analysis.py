"""All analyses of a run at the size of MS1MV2, against the floor: reading its sample log, in the same process.

    python -m benchmarks.analysis [--epochs 3] [--images 5822653] [--quick]

The run is fabricated: 5.82 M images of 85,742 identities with 20 % closed-set and 20 % open-set noise, of which a tenth
of the labels are corrected; every epoch is the same file. Peak memory is that of the process that analyses.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.noise_manifest import MS1MV2, VGG2, Index

if TYPE_CHECKING:
    from noisebench.bench.record import RunRecord
    from noisebench.noise.manifest import Manifest

SPREAD = {"clean": 0.25, "closed": 0.15, "open": 0.12}
MEAN = {"clean": 0.8, "closed": 1.4, "open": 1.5}


def fabricate(results: Path, num_images: int, epochs: int) -> Path:
    """A run with its manifest, sample log and centre log; its folder."""
    import numpy as np

    from datasets_tools.make_noise import make_manifest
    from noisebench.analysis.sample_log import epoch_folder
    from noisebench.bench.store import manifest_path
    from noisebench.noise.recipe import load_recipe

    num_classes = max(2, MS1MV2[1] * num_images // MS1MV2[0])
    base, outliers = Index(num_images, num_classes), Index(*VGG2)
    manifest = make_manifest(load_recipe("c20o20"), base, outliers, 0)
    folder = results / "runs" / "fabricated" / "c20o20" / "boundaryf1" / "seed0-fabricat"
    folder.mkdir(parents=True)
    manifest.write(manifest_path(folder.parents[1], manifest.checksum, None))
    _record(manifest, epochs).write(folder)
    first = _log_epoch(folder, manifest)
    random = np.random.Generator(np.random.Philox(1))
    for epoch in range(epochs):
        _log_centres(folder, epoch, random.random(num_classes, dtype=np.float32))
        if epoch:
            epoch_folder(folder, epoch).mkdir()
            os.link(first, epoch_folder(folder, epoch) / first.name)
    return folder


def _record(manifest: Manifest, epochs: int) -> RunRecord:
    from noisebench.bench.record import Code, DataSource, Epoch, RunRecord

    data = DataSource(name="fabricated", fingerprint="", num_images=len(manifest), num_classes=0)
    return RunRecord(
        status="done", suite="fabricated", noise="c20o20", method="boundaryf1", seed=0, hash="fabricat",
        config={"method": {"options": {"margin": 0.5}}}, method_sha256="", manifest_checksum=manifest.checksum,
        noise_counts={}, seeds={}, data=data, code=Code(version="", sha256="", git_commit=None, git_dirty=None),
        precision="float32",
        history=[Epoch(epoch=epoch, loss=0, learning_rate=0, images_per_second=0) for epoch in range(epochs)],
    )  # fmt: skip


def _log_epoch(folder: Path, manifest: Manifest) -> Path:
    import numpy as np

    from noisebench.analysis.sample_log import SampleLog
    from noisebench.noise.schema import CLEAN, OPEN

    random = np.random.Generator(np.random.Philox(0))
    kind, num_classes = manifest.kind, manifest.num_train_classes
    mean, spread = (np.array(list(values.values()), np.float32)[kind] for values in (MEAN, SPREAD))
    angle = np.clip(mean + spread * random.standard_normal(len(kind), dtype=np.float32), 0, np.pi)
    other = np.clip(1.3 + 0.1 * random.standard_normal(len(kind), dtype=np.float32), 0, np.pi)
    nearest = (manifest.label + random.integers(1, num_classes, len(kind), dtype=np.int32)) % num_classes
    log = SampleLog(folder)
    log.append(
        np.arange(len(kind)),
        cosine_label=np.cos(angle),
        cosine_true=np.cos(np.where(kind == OPEN, np.nan, np.where(kind == CLEAN, angle, other))),
        cosine_nearest=np.cos(other),
        nearest=nearest,
        norm=10 + random.standard_normal(len(kind), dtype=np.float32),
        used_label=np.where(random.random(len(kind), dtype=np.float32) < 0.1, nearest, manifest.label),
    )
    return log.close_epoch(0)


def _log_centres(folder: Path, epoch: int, angle: object) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from noisebench.analysis.centre_log import SCHEMA

    values = np.asarray(angle)
    table = pa.Table.from_arrays([pa.array(np.arange(len(values), dtype=np.int32)), values, values], schema=SCHEMA)
    path = folder / "centres" / f"epoch={epoch:03d}.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path)


def measure_here(folder: Path) -> dict[str, float]:
    """Seconds to read the log and to analyse the run, in this process, and its peak memory in MB."""
    from noisebench.analysis.sample_log import logged_epochs, read_samples
    from noisebench.analysis.whole_run import analyse, open_run

    imports, began = _peak(), time.perf_counter()
    for epoch in logged_epochs(folder):
        read_samples(folder, epoch)
    read, reading = time.perf_counter(), _peak()
    analyse(open_run(folder)).write(folder / "analysis")
    done = time.perf_counter()
    return {"read": read - began, "analysed": done - read, "imports": imports, "reading": reading, "peak": _peak()}


def _apart(*arguments: str) -> str:
    """What this benchmark prints when run with these arguments, in a process whose memory is its own."""
    command = [sys.executable, "-m", "benchmarks.analysis", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _peak() -> float:
    """The most memory that this process has had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--images", type=int, default=MS1MV2[0])
    parser.add_argument("--quick", action="store_true", help="a hundredth of the images")
    parser.add_argument("--fabricate", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    images = arguments.images // 100 if arguments.quick else arguments.images
    if arguments.fabricate:
        print(fabricate(arguments.fabricate, images, arguments.epochs))
        return
    if arguments.measure:
        print(json.dumps(measure_here(arguments.measure)))
        return
    with tempfile.TemporaryDirectory() as folder:
        run = _apart("--fabricate", folder, "--images", str(images), "--epochs", str(arguments.epochs))
        found: dict[str, float] = json.loads(_apart("--measure", run))
    print(
        "| images x epochs | read, s an epoch | analysed, s an epoch | analysed / read | peak, MB | above imports, MB |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    seconds = [found["read"] / arguments.epochs, found["analysed"] / arguments.epochs]
    cells = [
        f"{images:,} x {arguments.epochs}",
        *(f"{value:.2f}" for value in seconds),
        f"{seconds[1] / seconds[0]:.1f}",
    ]
    print("|", " | ".join([*cells, f"{found['peak']:.0f}", f"{found['peak'] - found['imports']:.0f}"]), "|")


if __name__ == "__main__":
    main()
