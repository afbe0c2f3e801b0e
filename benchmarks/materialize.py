"""How fast a manifest becomes a data set: ``python -m benchmarks.materialize [--gigabytes G] [--folder DIR]``.

The peer is a plain copy of the base set's ``train.rec`` in the same folder, flushed to the disk as the new set is; both
are taken in turns in one run. Rates count the bytes of the ``train.rec`` that is written.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np

from datasets_tools.make_noise import make_manifest
from datasets_tools.materialize import materialize
from noisebench.formats.face_set import FaceSet, write_face_set
from noisebench.noise.manifest import Manifest
from noisebench.noise.recipe import load_recipe

RECIPES = ("clean", "closed30", "c20o20")
IMAGE_BYTES = 7000  # of an average JPEG of 112x112
IMAGES_PER_IDENTITY = 68  # as in MS1MV2


def main() -> None:
    """Print a Markdown table of rates, and of the ratio to the plain copy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.5, help="size of the base set's train.rec")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write, to measure its disk; default: a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        base, outliers = _fabricate(folder / "base", arguments.gigabytes), _fabricate(folder / "outliers", 0.6)
        contenders: dict[str, Callable[[Path], Path]] = {"plain copy": lambda out: _copy(base, out)}
        contenders |= {
            name: _materializer(make_manifest(load_recipe(name), base, outliers, 0), base, outliers) for name in RECIPES
        }
        print("| written | MB/s | of the plain copy |\n| --- | --- | --- |")
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(arguments.rounds):
            for name, contender in contenders.items():
                rates[name].append(_rate(contender, folder / "out"))
        for name, values in rates.items():
            ratio = median(value / plain for value, plain in zip(values, rates["plain copy"], strict=True))
            print(f"| {name} | {median(values):.0f} | {ratio:.0%} |")


def _fabricate(folder: Path, gigabytes: float) -> FaceSet:
    """A set of records with random bytes for images."""
    noise = np.random.Generator(np.random.Philox(0)).bytes(1 << 24)
    identities = round(gigabytes * 1e9 / IMAGE_BYTES / IMAGES_PER_IDENTITY)

    def images() -> Iterator[tuple[bytes, int]]:
        for number in range(identities * IMAGES_PER_IDENTITY):
            start = number * 7919 % (len(noise) - 2 * IMAGE_BYTES)
            yield noise[start : start + IMAGE_BYTES // 2 + start % IMAGE_BYTES], number // IMAGES_PER_IDENTITY

    write_face_set(folder, images(), identities, (112, 112))
    return FaceSet.open(folder)


def _copy(base: FaceSet, out: Path) -> Path:
    out.mkdir()
    copy = shutil.copyfile(base.records.rec, out / "train.rec")
    with copy.open("ab") as stream:
        os.fsync(stream.fileno())
    return copy


def _materializer(manifest: Manifest, base: FaceSet, outliers: FaceSet) -> Callable[[Path], Path]:
    def contender(out: Path) -> Path:
        materialize(manifest, base, outliers, out)
        return out / "train.rec"

    return contender


def _rate(contender: Callable[[Path], Path], out: Path) -> float:
    """Megabytes a second, from an idle disk to what is written being on it."""
    os.sync()
    begin = time.perf_counter()
    written = contender(out)
    seconds = time.perf_counter() - begin
    megabytes = written.stat().st_size / 1e6
    shutil.rmtree(out)
    return megabytes / seconds


if __name__ == "__main__":
    main()
