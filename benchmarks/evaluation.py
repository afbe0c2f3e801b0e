"""Evaluation at the size of the field's test sets, each against the direct way or the floor, in the same run.

    python -m benchmarks.evaluation [--quick]

- *LFW*: 6,000 pairs, ten folds, against a direct loop over the 4,400 thresholds of every fold.
- *IJB-C, one to one*: 23,124 templates of 512 dimensions, 15,658,489 pairs anywhere among them, in a process of its
  own, against gathering and multiplying the vectors of a hundredth of the pairs.
- *MegaFace*: 3,530 probes against a million distractors in blocks, in a process of its own, against the matrix product
  alone.

The clock is that of the process's own computing time, on one thread: what else runs on the machine disturbs it least.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import typer
from numpy.typing import NDArray

from noisebench.evaluation.distractors import Distractors, identification_rates, verification_rates
from noisebench.evaluation.roc import Roc
from noisebench.evaluation.templates import pair_scores, unit
from noisebench.evaluation.verification import (
    ACCURACY_THRESHOLDS,
    FALSE_ACCEPT_RATES,
    FAR_THRESHOLDS,
    NUM_FOLDS,
    fold_of_pairs,
    squared_distances,
    verify_distances,
)

SIZE = 512
PAIRS = 6000
TEMPLATES, TEMPLATE_PAIRS, GENUINE = 23_124, 15_658_489, 19_557
PROBES, PEOPLE, DISTRACTORS, BLOCK = 3_530, 80, 1_000_000, 8192
ROUNDS = 7
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def main(quick: bool = False) -> None:
    """Print a table for each."""
    if os.environ.get("OMP_NUM_THREADS") != "1":  # NumPy's products ask before they are loaded
        os.execvpe(
            sys.executable, [sys.executable, "-m", "benchmarks.evaluation", *sys.argv[1:]], os.environ | ONE_THREAD
        )
    verification()
    scale = 20 if quick else 1
    alone(one_to_one, scale)
    alone(identification, scale)


def verification() -> None:
    """Ten folds from distances, with and without making the distances, and the direct loop."""
    random = np.random.default_rng(0)
    same = np.arange(PAIRS) % 600 < 300
    a = random.normal(size=(PAIRS, SIZE)).astype(np.float32)
    b = np.where(same[:, None], a, 0) + random.normal(size=(PAIRS, SIZE)).astype(np.float32)
    distances = squared_distances(a, b)
    ours = least(lambda: verify_distances(distances, same), ROUNDS)
    whole = least(lambda: verify_distances(squared_distances(a, b), same), ROUNDS)
    direct = least(lambda: direct_loop(distances, same), 1)
    print(f"\n{PAIRS:,} pairs of {SIZE} dimensions, the least of {ROUNDS} rounds\n")
    print("| | milliseconds | times faster than the loop |\n| --- | --- | --- |")
    for name, seconds in (("direct loop", direct), ("folds", ours), ("distances and folds", whole)):
        print(f"| {name} | {1000 * seconds:.1f} | {direct / seconds:.0f} |")


def direct_loop(distances: NDArray[np.float64], same: NDArray[np.bool_]) -> tuple[float, list[float]]:
    """Accuracy and TAR@FAR as they are defined: every threshold is held against all pairs of a fold."""
    fold = fold_of_pairs(len(same), NUM_FOLDS)
    accuracies, rates = [], []
    for number in range(NUM_FOLDS):
        test, train = fold == number, fold != number
        right = [np.mean((distances[train] < threshold) == same[train]) for threshold in ACCURACY_THRESHOLDS]
        accuracies.append(np.mean((distances[test] < ACCURACY_THRESHOLDS[np.argmax(right)]) == same[test]))
        impostors = distances[train & ~same]
        far = np.array([np.mean(impostors < threshold) for threshold in FAR_THRESHOLDS])
        within = [FAR_THRESHOLDS[far <= rate].max() for rate in FALSE_ACCEPT_RATES]
        rates.append([np.mean(distances[test & same] < threshold) for threshold in within])
    return float(np.mean(accuracies)), np.mean(rates, axis=0).tolist()


def one_to_one(scale: int) -> None:
    """Scores and ROC of as many pairs as IJB-C has, spread over all templates: the worst case for the scores."""
    count = TEMPLATE_PAIRS // scale
    random = np.random.default_rng(0)
    vectors = unit(random.normal(size=(TEMPLATES, SIZE)).astype(np.float32))
    first, second = random.integers(0, TEMPLATES, (2, count))
    same = np.arange(count) < GENUINE // scale
    started = time.process_time()
    scores = pair_scores(vectors, first, second)
    scored = time.process_time()
    roc = Roc.of(scores, same)
    rates = [roc.tar_at_nearest_far(10.0**-power) for power in range(6, 0, -1)]
    done = time.process_time()
    part = slice(0, count // 100)
    gathered = 100 * least(lambda: np.einsum("pd,pd->p", vectors[first[part]], vectors[second[part]]), 1)
    assert len(rates) == 6, "all rates were read"
    print(f"\nIJB-C, one to one: {TEMPLATES:,} templates of {SIZE} dimensions, {count:,} pairs\n")
    print("| | seconds | times faster than gathering |\n| --- | --- | --- |")
    print(f"| scores by gathering, from a hundredth | {gathered:.1f} | 1 |")
    print(f"| scores | {scored - started:.1f} | {gathered / (scored - started):.1f} |")
    print(f"| scores, ROC and six rates | {done - started:.1f} | {gathered / (done - started):.1f} |")


def identification(scale: int) -> None:
    """Both tasks of MegaFace, and the floor: the product of probes and distractors, of which nothing is kept."""
    random = np.random.default_rng(0)
    probes = unit(random.normal(size=(PROBES, SIZE)).astype(np.float32))
    people = np.arange(PROBES) % PEOPLE
    total = DISTRACTORS // scale

    def blocks() -> Iterator[NDArray[np.float32]]:
        block = unit(random.normal(size=(BLOCK, SIZE)).astype(np.float32))
        for start in range(0, total, BLOCK):
            block = np.roll(block, 1, axis=1)  # other vectors, for nearly nothing
            yield block[: min(BLOCK, total - start)]

    def tasks() -> None:
        distractors = Distractors(probes, total)
        for block in blocks():
            distractors.add(block)
        identification_rates(probes, people, distractors)
        verification_rates(probes, people, distractors)

    def products() -> None:
        for block in blocks():
            for start in range(0, len(block), BLOCK // 2):
                probes @ block[start : start + BLOCK // 2].T

    ours, floor = least(tasks, 1), least(products, 1)
    print(f"\nMegaFace: {PROBES:,} probes against {total:,} distractors of {SIZE} dimensions\n")
    print("| | seconds | of the product alone |\n| --- | --- | --- |")
    print(
        f"| product alone | {floor:.1f} | 1.0 |\n| identification and verification | {ours:.1f} | {ours / floor:.2f} |"
    )


def least(work: Callable[[], object], rounds: int) -> float:
    """The least seconds of some rounds."""
    times = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def alone(work: Callable[[int], None], scale: int) -> None:
    """Run in a process of its own, so that its peak memory can be told."""
    process = multiprocessing.get_context("spawn").Process(target=_with_peak, args=(work, scale))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def _with_peak(work: Callable[[int], None], scale: int) -> None:
    work(scale)
    print(f"\npeak of the whole process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    typer.run(main)
