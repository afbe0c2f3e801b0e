"""What is the same, bit for bit, in a run that was interrupted and in one that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noisebench.bench.store import all_runs
from tests.training.small import logs


def outcomes(results: Path) -> dict[str, dict[str, Any]]:
    """Final metrics, loss of every epoch, and every log file's bytes, by the run's folder within the results."""
    return {
        str(run.folder.resolve().relative_to(results.resolve())): {
            "metrics": run.record.model_dump(mode="json")["metrics"],
            "losses": [epoch.loss for epoch in run.record.history],
            "logs": logs(run.folder),
        }
        for run in all_runs(results)
    }
