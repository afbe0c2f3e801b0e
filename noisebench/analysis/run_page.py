"""A run's record in words: what it was, where it comes from, what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noisebench.analysis.centre_log import FOLDER as CENTRES
from noisebench.analysis.sample_log import FOLDER as SAMPLES
from noisebench.analysis.tables import ABSENT, ACCURACY, code_in_words, distinct, noise_in_words, values_of
from noisebench.analysis.text import flat, percent, pipe_table
from noisebench.bench.record import RunRecord
from noisebench.bench.store import Run


def run_page(run: Run) -> str:
    """Configuration, provenance, metrics and history of a run, as Markdown."""
    record = run.record
    parts = [
        [f"# {record.method} under {record.noise}, seed {record.seed}"],
        [f"- {name}: {text}" for name, text in _facts(run).items()],
        ["## Configuration", "", *pipe_table([["setting", "value"], *map(list, flat(record.config).items())])]
        if record.config
        else [],
        ["## Results", "", *(_metrics(record) if record.metrics else ["None yet."])],
        ["## History", "", *(_history(record) if record.history else ["No epoch is finished."])],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def run_content(run: Run) -> dict[str, Any]:
    """The record of a run and where it lies, in JSON's types."""
    return {"folder": str(run.folder), **run.record.model_dump(mode="json"), "logs": _logs(run.folder)}


def _facts(run: Run) -> dict[str, str]:
    record, data = run.record, run.record.data
    facts = {
        "Status": f"{record.status}: {record.reason}" if record.reason else record.status,
        "Folder": str(run.folder),
        "Suite": record.suite + (f", with {', '.join(record.overrides)}" if record.overrides else ""),
        "Data": f"{data.name}: {data.num_images:,} images of {data.num_classes:,} identities ({data.fingerprint[:8]})",
        "Noise": noise_in_words(record),
        "Manifest": record.manifest_checksum[:8],
    }
    if record.outliers is not None:
        facts["Outliers"] = (
            f"{record.outliers.name}: {record.outliers.num_images:,} images ({record.outliers.fingerprint[:8]})"
        )
    facts |= {
        "Code": f"{code_in_words(record)}, sources {record.code.sha256[:8]}, method {record.method_sha256[:8]}",
        "Hash": f"{record.hash[:8]} over configuration, data, manifest and the method's source",
        "Weights": f"{record.selection} epoch, trained in {record.precision}",
    }
    if record.environment is not None:
        place = record.environment
        processes = f"{place.world_size} process{'es' if place.world_size > 1 else ''} of {place.threads} threads"
        facts["Machine"] = f"{place.platform}, {place.device}, {processes}"
        facts["Libraries"] = f"Python {place.python}, torch {place.torch}, NumPy {place.numpy}"
    if record.started is not None:
        facts["Started"] = record.started + (f", finished {record.finished}" if record.finished else "")
    if record.timings:
        facts["Time"] = ", ".join(f"{phase} {seconds:,.1f} s" for phase, seconds in record.timings.items())
    facts["Logs"] = ", ".join(_logs(run.folder)) or "none"
    return facts


def _logs(folder: Path) -> list[str]:
    """What lies in the run's folder beside its record."""
    found = []
    for name, title in ((SAMPLES, "samples"), (CENTRES, "centres")):
        epochs = len(list((folder / name).glob("epoch=[0-9]*")))
        if epochs:
            found.append(f"{title} of {epochs} epoch{'s' if epochs > 1 else ''}")
    return found + [name for name in ("model.pt", "tensorboard") if (folder / name).exists()]


def _metrics(record: RunRecord) -> list[str]:
    names = distinct(name for result in record.metrics.values() for name in values_of(result))
    rows = [["test set", "pairs", *names, "mean norm"]]
    for test_set, result in record.metrics.items():
        values = {name: percent(value) for name, value in values_of(result).items()}
        if result.accuracy_std is not None and ACCURACY in values:
            values[ACCURACY] += f" ± {percent(result.accuracy_std)}"
        pairs = ABSENT if result.num_pairs is None else f"{result.num_pairs:,}"
        norm = ABSENT if result.mean_norm is None else f"{result.mean_norm:.2f}"
        rows.append([test_set, pairs, *(values.get(name, ABSENT) for name in names), norm])
    protocols = [
        f"{test_set}: {result.provenance.protocol}"
        for test_set, result in record.metrics.items()
        if result.provenance is not None
    ]
    return [
        *pipe_table(rows),
        "",
        f"Per cent; accuracy ± standard deviation over folds. {'; '.join(protocols)}".rstrip(),
    ]


def _history(record: RunRecord) -> list[str]:
    rows = [["epoch", "loss", "learning rate", "images/s"]]
    rows += [
        [str(epoch.epoch), f"{epoch.loss:.4f}", f"{epoch.learning_rate:.3g}", f"{epoch.images_per_second:,.0f}"]
        for epoch in record.history
    ]
    return pipe_table(rows)
