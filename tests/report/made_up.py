"""A results folder of made-up runs: names that mean mischief, and everything that can be wrong with a run."""

from __future__ import annotations

import shutil
from pathlib import Path

from noisebench.bench.record import Code
from noisebench.bench.store import Run
from tests.analysis.made_up import made_up_run
from tests.analysis.runs import metrics

MARKUP = "<img src=x onerror=alert(1)>"
FORMULA = r"$\frac$ </style><script>document.title='owned'"
OTHER_CODE = Code(version="0.0.9", sha256="b" * 64, git_commit=None, git_dirty=None)


def results_folder(results: Path) -> Path:
    """Two noises that can be compared, and one whose runs may not be."""
    for seed in (0, 1):
        shift = seed / 100
        made_up_run(results, method="arcface", seed=seed, accuracy=0.9 + shift, hash=f"arc{seed}" * 3)
        made_up_run(results, method="softmax", seed=seed, accuracy=0.8 + shift, tar=None, hash=f"soft{seed}" * 3)
    made_up_run(results, method=MARKUP, accuracy=0.7, hash="markup00")
    made_up_run(results, "clean", [0] * 40, method="arcface", accuracy=0.95, hash="clean000")
    made_up_run(results, "clean", [0] * 40, method=f"{FORMULA}".replace("/", "\u2215"), accuracy=0.6, hash="formula0")
    made_up_run(results, "mixed10", method="arcface", accuracy=0.85, hash="mixed000")
    made_up_run(results, "mixed10", method="arcface", seed=1, accuracy=0.84, hash="mixed001", code=OTHER_CODE)
    no_log = made_up_run(results, method="cosface", accuracy=0.82, hash="nolog000")
    shutil.rmtree(no_log.folder / "samples")
    fail(made_up_run(results, method="curricularface", hash="failed00"), "the loss is not finite <b>")
    damaged = made_up_run(results, method="gce", hash="damaged0")
    (damaged.folder / "result.json").write_text('{"status": "done", "colour": "<i>blue</i>"}')
    return results


def without_logs(results: Path, noise: str) -> Path:
    """The folder, with the sample logs of a noise removed: there is less to draw."""
    for samples in results.glob(f"runs/*/{noise}/*/*/samples"):
        shutil.rmtree(samples)
    return results


def fail(run: Run, reason: str) -> None:
    """Have a run failed."""
    changes = {"status": "failed", "reason": reason, "metrics": {}}
    run.record.model_copy(update=changes).write(run.folder)


def many_rows(results: Path, num_methods: int = 12, test_sets: int = 8) -> Path:
    """Runs of many methods on many test sets, without logs."""
    for place in range(num_methods):
        measured = {f"test_set_{number}": metrics(0.5 + place / 100, 0.3) for number in range(test_sets)}
        made = made_up_run(results, method=f"method_{place:02d}", metrics=measured, hash=f"many{place:04d}")
        shutil.rmtree(made.folder / "samples")
    return results
