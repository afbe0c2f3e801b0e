"""Noise manifests at the size of MS1MV2: from a recipe to a written file, beside a loop over the classes.

The data set is fabricated: keys and labels of 5.82 M images of 85,742 identities, and of 3.14 M outliers. The peer does
closed-set noise by class as list scripts do: a NumPy generator chooses and relabels class after class, and the list is
written as text. ``--webface42m`` measures a set of 42.5 M images of 2.06 M identities instead, without the peer.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MS1MV2, VGG2 = (5_822_653, 85_742), (3_141_890, 8_631)
WEBFACE42M, LARGE_OUTLIERS = (42_474_558, 2_059_906), (17_091_657, 360_232)
RECIPES = (
    "closed30", "open30", "c20o20", "boundaryface_closed20", "boundaryface_c20o20", "m15o05", "noiseface60", "hard20",
    "longtail30", "conflict", "merged",
)  # fmt: skip
RATE = 0.2


@dataclass(frozen=True)
class Index:
    """A data set without images: class sizes spread as those of web photographs are."""

    num_images: int
    num_classes: int

    @property
    def folder(self) -> Path:
        """Where the set would lie."""
        return Path("fabricated")

    @property
    def fingerprint(self) -> str:
        """What tells it from others."""
        return f"{self.num_images}/{self.num_classes}"

    @cached_property
    def keys(self) -> NDArray[np.int64]:
        """Keys of the records, [N]."""
        import numpy as np

        return np.arange(1, self.num_images + 1)

    @cached_property
    def labels(self) -> NDArray[np.int32]:
        """Identities, [N], ascending: log-normal class sizes of at least 2 images."""
        import numpy as np

        weights = np.random.Generator(np.random.Philox(0)).lognormal(0, 0.6, self.num_classes)
        ends = np.cumsum(weights / weights.sum() * (self.num_images - 2 * self.num_classes)).astype(np.int64)
        sizes = np.diff(ends, prepend=0) + 2
        sizes[-1] += self.num_images - sizes.sum()
        return np.repeat(np.arange(self.num_classes, dtype=np.int32), sizes)


def measure_recipe(name: str, base: Index, outliers: Index, out: Path) -> dict[str, float]:
    """Seconds to generate what a recipe changes, and from the recipe to the written manifest."""
    import numpy as np

    from datasets_tools.make_noise import image_sources, kinds, make_manifest, noisy_labels
    from datasets_tools.neighbours import Neighbours
    from noisebench.noise.recipe import load_recipe

    rows = base.keys, base.labels, base.num_classes
    recipe, ring = load_recipe(name), np.arange(base.num_classes, dtype=np.int32)[:, None] + np.arange(1, 11)
    neighbours = Neighbours((ring % base.num_classes).astype(np.int32), "") if recipe.closed.neighbours else None
    if recipe.needs_outliers:
        assert len(outliers.keys) == len(outliers.labels)

    def generate() -> None:
        kind = kinds(recipe, *rows, 0)
        noisy_labels(recipe, kind, *rows, 0, neighbours)
        image_sources(recipe, kind, base.keys, base.labels, outliers, 0)

    return {
        "generated": _seconds(generate),
        "written": _seconds(lambda: make_manifest(recipe, base, outliers, 0, neighbours=neighbours).write(out)),
    }


def measure_peer(base: Index, out: Path) -> dict[str, float]:
    """Seconds of a loop over the classes with a NumPy generator, and of writing its list as text."""
    import numpy as np

    noisy = base.labels.copy()

    def generate() -> None:
        generator = np.random.default_rng(0)
        first = 0
        for label, size in enumerate(np.bincount(base.labels).tolist()):
            chosen = first + generator.choice(size, int(size * RATE), replace=False)
            wrong = generator.integers(base.num_classes, size=len(chosen))
            while (wrong == label).any():
                wrong = np.where(wrong == label, generator.integers(base.num_classes, size=len(chosen)), wrong)
            noisy[chosen] = wrong
            first += size

    generated = _seconds(generate)
    with out.open("w", encoding="ascii") as stream:
        writing = _seconds(
            lambda: stream.writelines(
                f"{label:06d}/{key:08d}.jpg  {given}\n"
                for key, label, given in zip(base.keys, base.labels, noisy, strict=True)
            )
        )
    return {"generated": generated, "written": generated + writing}


def measure_neighbours(num_classes: int, folder: Path) -> tuple[float, float]:
    """Seconds to find everyone's 10 neighbours, and to find them in the whole matrix of cosines."""
    import numpy as np

    from datasets_tools.neighbours import Neighbours

    centres = np.random.Generator(np.random.Philox(0)).standard_normal((num_classes, 512), dtype=np.float32)
    np.save(folder / "centres.npy", centres)
    labels = np.arange(num_classes, dtype=np.int32)

    def whole_matrix() -> None:
        unit = centres / np.linalg.norm(centres, axis=1, keepdims=True)
        cosines = unit @ unit.T
        np.fill_diagonal(cosines, -2)
        np.argpartition(-cosines, 10, axis=1)[:, :10].copy()

    found = _seconds(lambda: Neighbours.find(folder / "centres.npy", 10, labels, num_classes))
    return found, _seconds(whole_matrix)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _peak() -> float:
    """The most memory that this process has had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_here(case: str, *, large: bool) -> dict[str, float]:
    """One case in this process, with its peak memory and that of the imports alone."""
    import datasets_tools.make_noise  # noqa: F401

    imports = _peak()
    base, outliers = (Index(*size) for size in ((WEBFACE42M, LARGE_OUTLIERS) if large else (MS1MV2, VGG2)))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        measured = measure_peer(base, out) if case == "peer" else measure_recipe(case, base, outliers, out)
    return measured | {"peak": _peak(), "imports": imports}


def measure(case: str, *, large: bool, repeats: int) -> dict[str, float]:
    """One case, each time in a process of its own: the fastest seconds, the highest peak."""
    command = [sys.executable, "-m", "benchmarks.noise_manifest", "--case", case, *(["--webface42m"] if large else [])]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(repeats)]
    pick = {"generated": min, "written": min, "peak": max, "imports": max}
    return {name: best(run[name] for run in runs) for name, best in pick.items()}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three recipes, each once")
    parser.add_argument("--webface42m", action="store_true", help="a set of the size of WebFace42M")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    large = arguments.webface42m
    if arguments.case:
        print(json.dumps(measure_here(arguments.case, large=large)))
        return
    repeats = 1 if arguments.quick or large else 3
    peer = None if large else measure("peer", large=False, repeats=repeats)
    print("| recipe | generated, s | written, s | peer / generated | peer / written | peak, MB | above imports, MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in RECIPES[:3] if arguments.quick else RECIPES:
        _print_row(name, measure(name, large=large, repeats=repeats), peer)
    if peer is not None:
        _print_row("peer", peer, peer)
        with tempfile.TemporaryDirectory() as folder:
            found, whole = measure_neighbours(10_572, Path(folder))
        print("\nNeighbours for hard flips, 10,572 centres of 512 numbers: ", end="")
        print(f"{found:.1f} s; {whole / found:.1f} times as fast as the whole matrix ({whole:.1f} s)")


def _print_row(name: str, measured: dict[str, float], peer: dict[str, float] | None) -> None:
    seconds = [measured["generated"], measured["written"]]
    ratios = [f"{peer[what] / measured[what]:.1f}" if peer else "-" for what in ("generated", "written")]
    megabytes = [measured["peak"], measured["peak"] - measured["imports"]]
    cells = [name, *(f"{value:.2f}" for value in seconds), *ratios, *(f"{value:.0f}" for value in megabytes)]
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
