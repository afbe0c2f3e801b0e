"""Every figure that can be drawn of a results folder: what it is called, what it shows, and how it is drawn.

A figure is drawn when it is asked for, so that whoever asks decides what becomes of one that cannot be drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure
from tqdm import tqdm

from noisebench.analysis import figures
from noisebench.analysis.embedded_classes import embed_classes
from noisebench.analysis.figures import NothingToDrawError, write_figure
from noisebench.analysis.gallery import galleries
from noisebench.analysis.robustness import series_of
from noisebench.analysis.run_tables import RunTables, tables_of
from noisebench.analysis.sample_ranking import open_faces
from noisebench.analysis.tables import Table, comparisons, distinct, overviews
from noisebench.bench.record import RunRecord
from noisebench.bench.store import Run
from noisebench.data.dataset import NoisyFaces
from noisebench.errors import UserError

MIN_RATES = 3
"""Fewer noises of a series are told by a table."""
Tell = Callable[[str], None]
"""Is told, in a line each, what could not be shown."""


@dataclass(frozen=True)
class Drawing:
    """A figure that has not been drawn yet.

    Attributes:
        name: Of its files, without an ending.
        caption: What it shows, a sentence.
        draw: Draws it; a `NothingToDrawError` says that the results have nothing of the kind.
    """

    name: str
    caption: str
    draw: Callable[[], Figure]


def of_results(records: Sequence[RunRecord], tables: Sequence[Table]) -> Iterator[Drawing]:
    """What methods of one suite and data set reach, and how much is left of it as noise grows.

    Args:
        records: Finished runs.
        tables: Of `noisebench.analysis.tables.comparisons`.
    """
    yield Drawing(
        "accuracy",
        "What each method reaches on each test set: mean and standard deviation over seeds.",
        lambda: figures.accuracy_by_method(tables),
    )
    test_sets = distinct(name for record in records for name in record.metrics)
    for series, rates in series_of(records).items():
        if len(rates) >= MIN_RATES:
            part = [record for record in records if record.noise in rates]
            yield Drawing(
                f"accuracy-over-{series.strip('_-') or 'noise'}",
                f"What is left as noise grows ({', '.join(rates)}): mean, with its 95 % interval cut at the frame.",
                partial(_over_rate, part, test_sets, rates),
            )


def of_noise(runs: Mapping[str, Run], tables: Mapping[str, RunTables]) -> Iterator[Drawing]:
    """How methods compare during training under one noise, from the logs of one run each.

    Args:
        runs: By method; all of them with the same manifest and a sample log.
        tables: What their analysis found.
    """
    folders = {method: run.folder for method, run in runs.items()}
    yield Drawing(
        "angles",
        "Angle to the centre of the label given, by epoch: clean against noisy samples.",
        lambda: figures.angle_distributions(folders, next(iter(runs.values())).manifest()),
    )
    for name, table, caption, draw in (
        ("memorisation", "memorisation", "What samples are fitted to, by epoch.", figures.memorisation_curves),
        ("corrections", "corrections", "How right the corrected labels are, by epoch.", figures.correction_curves),
        ("detection", "detection", "How well scores tell noise from clean samples.", figures.detection_by_epoch),
        ("drift", "centre_drift", "How far class centres have moved.", figures.centre_drift),
    ):
        found = {method: tables[method].tables[table] for method in runs if table in tables[method].tables}
        yield Drawing(name, caption, partial(draw, found))


def of_run(tables: RunTables) -> Iterator[Drawing]:
    """What one run's logs tell beyond `of_noise`."""
    found = tables.tables
    if "detection_curves" in found and "detection" in found:
        yield Drawing(
            "detection-curves",
            "Detection of noise by four scores: ROC and precision in the end, area under the ROC by epoch.",
            lambda: figures.detection_curves(found["detection_curves"], found["detection"]),
        )
    if "method_state" in found:
        yield Drawing(
            "state",
            "Numbers that the method follows, over the steps of training.",
            lambda: figures.state_curves(found["method_state"]),
        )


def of_images(run: Run, faces: NoisyFaces) -> Iterator[Drawing]:
    """What a finished run's model makes of images."""
    yield Drawing(
        "embeddings",
        "Embeddings of images that bear one of a few labels, in the plane they vary in most.",
        lambda: figures.embedding_map(embed_classes(run, faces), f"{run.record.method}, {run.record.noise}"),
    )


def first_logged(runs: Iterable[Run], tell: Tell) -> tuple[dict[str, Run], dict[str, RunTables]]:
    """Of each method the first finished run, with its analysis; what has no log is told and left out.

    Runs of another manifest than the first one's are left out, too: one figure is of one noise.
    """
    chosen: dict[str, Run] = {}
    tables: dict[str, RunTables] = {}
    checksum = None
    for run in runs:
        method = run.record.method
        if run.record.status != "done" or method in chosen:
            continue
        if checksum not in (None, run.record.manifest_checksum):
            tell(f"{name_of(run)} is left out of the curves: it was trained with another manifest")
            continue
        try:
            tables[method] = tables_of(run)
        except UserError as error:
            tell(f"{name_of(run)}: {error}")
            continue
        checksum = run.record.manifest_checksum
        chosen[method] = run
    return chosen, tables


def name_of(run: Run) -> str:
    """A run as printed."""
    return f"{run.record.method} under {run.record.noise}, seed {run.record.seed}"


def write_all_figures(runs: Sequence[Run], results: Path, tell: Tell, *, with_faces: bool = False) -> Iterator[Path]:
    """Draw and write every figure of a results folder, as PNG and SVG below ``figures/``; give the files.

    Args:
        runs: What to tell of.
        results: The folder.
        tell: Is told what could not be drawn.
        with_faces: Also those that show images or embed them.
    """
    for same_data in group_runs(runs):
        folder = results / "figures" / file_name(same_data[0].record.suite, same_data[0].record.data.name)
        done = [run for run in same_data if run.record.status == "done"]
        records = [run.record for run in done]
        if done:
            yield from _written(of_results(records, comparisons(records, allow_mixed=True)), folder, (), tell)
        for noise in distinct(record.noise for record in records):
            chosen, tables = first_logged([run for run in done if run.record.noise == noise], tell)
            if chosen:
                yield from _written(of_noise(chosen, tables), folder, (noise,), tell)
            for method, run in tqdm(chosen.items(), desc=f"draw {noise}", disable=None):
                drawings = [*of_run(tables[method]), *(_of_faces(run, tell) if with_faces else ())]
                yield from _written(drawings, folder, (noise, method), tell)


def group_runs(runs: Iterable[Run]) -> list[list[Run]]:
    """Runs of one suite and data set together."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.record.suite, run.record.data.fingerprint), []).append(run)
    return list(groups.values())


def file_name(*names: str) -> str:
    """Names joined by hyphens, without what has a meaning in a path: they come from files."""
    return "-".join(re.sub(r"[^\w.-]", "_", name).lstrip(".") for name in names)


def _written(drawings: Iterable[Drawing], folder: Path, of: Sequence[str], tell: Tell) -> Iterator[Path]:
    for drawing in drawings:
        name = file_name(drawing.name, *of)
        try:
            figure = drawing.draw()
        except NothingToDrawError:
            continue
        except UserError as error:
            tell(f"{name} is not drawn: {error}")
            continue
        yield from write_figure(figure, folder / name)


def _of_faces(run: Run, tell: Tell) -> Iterator[Drawing]:
    try:
        faces = open_faces(run)
        yield from of_images(run, faces)
        for gallery in galleries(run, faces):
            yield Drawing(gallery.name, gallery.title, partial(figures.gallery_figure, gallery))
    except UserError as error:
        tell(f"{name_of(run)}: {error}")


def _over_rate(records: Sequence[RunRecord], test_sets: Iterable[str], rates: Mapping[str, float]) -> Figure:
    tables = [table for test_set in test_sets for table in overviews(records, test_set)]
    return figures.accuracy_over_rate(tables, rates)
