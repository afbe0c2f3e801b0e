"""How fast a manifest becomes a data set: ``python -m benchmarks.materialize [--gigabytes G] [--folder DIR]``.

The peer is a plain copy of the base set's ``train.rec`` in the same folder, flushed to the disk as the new set is; both
are taken in turns in one run. Rates count the bytes of the ``train.rec`` that is written.

``--webface42m`` measures memory instead: a set of as many records as WebFace42M has, in the im2rec layout and in no
order as its instructions make it, each with a few bytes for an image, is opened, made noisy and written anew. That
takes 15 GB of disk. Memory is what the process holds of its own; pages of mapped files can be dropped at any time.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import TypeVar

import numpy as np

from datasets_tools.make_noise import make_manifest
from datasets_tools.materialize import materialize
from noisebench.formats.face_set import FaceSet, write_face_set
from noisebench.formats.recordio import MAGIC
from noisebench.noise.manifest import Manifest
from noisebench.noise.recipe import load_recipe

RECIPES = ("clean", "closed30", "c20o20")
IMAGE_BYTES = 7000  # of an average JPEG of 112x112
IMAGES_PER_IDENTITY = 68  # as in MS1MV2
_T = TypeVar("_T")
WEBFACE42M = (42_474_558, 2_059_906)
SMALL_RECORD = np.dtype(
    [(name, "<u4") for name in ("magic", "length", "flag")] + [("label", "<f4"), ("id", "<u8"), ("id2", "<u8")]
    + [("image", "V100")]
)  # fmt: skip


def main() -> None:
    """Print a Markdown table of rates, and of the ratio to the plain copy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.5, help="size of the base set's train.rec")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write, to measure its disk; default: a temporary folder")
    parser.add_argument("--webface42m", action="store_true", help="memory at the size of WebFace42M")
    parser.add_argument("--large-set", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.large_set:
        measure_memory(arguments.large_set)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        if arguments.webface42m:
            _fabricate_large(Path(name) / "base", *WEBFACE42M)
            subprocess.run([sys.executable, "-m", "benchmarks.materialize", "--large-set", name], check=True)
            return
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


def _fabricate_large(folder: Path, num_images: int, num_identities: int) -> None:
    """A set in the im2rec layout, its keys and labels in no order."""
    folder.mkdir()
    keys = np.random.Generator(np.random.Philox(0)).permutation(num_images)
    at_once = 1 << 20
    with (folder / "train.rec").open("wb") as rec, (folder / "train.idx").open("w", encoding="ascii") as idx:
        for first in range(0, num_images, at_once):
            some = keys[first : first + at_once]
            records = np.zeros(len(some), dtype=SMALL_RECORD)
            records["magic"], records["length"], records["id"] = MAGIC, SMALL_RECORD.itemsize - 8, some
            records["label"] = some * num_identities // num_images
            offsets = (first + np.arange(len(some))) * SMALL_RECORD.itemsize
            idx.writelines(map("{}\t{}\n".format, some.tolist(), offsets.tolist()))
            rec.write(records.tobytes())
    (folder / "property").write_text(f"{num_identities},112,112\n")


def measure_memory(folder: Path) -> None:
    """Print seconds and peak memory of every step from the fabricated set to its noisy copy."""
    print("| step | seconds | peak of own memory, GB |\n| --- | --- | --- |")
    base = _measured("open the set", lambda: FaceSet.open(folder / "base"))
    manifest = _measured("make the manifest", lambda: make_manifest(load_recipe("closed30"), base, None, 0))
    _measured("materialize", lambda: materialize(manifest, base, None, folder / "out"))
    _measured("open the new set", lambda: FaceSet.open(folder / "out"))


def _measured(name: str, step: Callable[[], _T]) -> _T:
    """Take a step and print its row."""
    done, peak, begin = Event(), [0.0], time.perf_counter()

    def watch() -> None:
        while not done.wait(0.02):
            status = Path("/proc/self/status").read_text(encoding="ascii")
            peak[0] = max(peak[0], int(re.findall(r"RssAnon:\s+(\d+)", status)[0]) / 1e6)

    watcher = Thread(target=watch)
    watcher.start()
    try:
        return step()
    finally:
        done.set()
        watcher.join()
        print(f"| {name} | {time.perf_counter() - begin:.0f} | {peak[0]:.1f} |", flush=True)


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
