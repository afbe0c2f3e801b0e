"""Every figure that can be drawn of a results folder: what it is called, what it shows, and how it is drawn.

A figure is drawn when it is asked for, so that whoever asks decides what becomes of one that cannot be drawn.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from tqdm import tqdm

from noisebench.analysis import figures
from noisebench.analysis.drift import drift_from_clean_run
from noisebench.analysis.embedded_classes import embed_classes
from noisebench.analysis.figures import NothingToDrawError, write_figure
from noisebench.analysis.gallery import galleries
from noisebench.analysis.robustness import is_line, series_of
from noisebench.analysis.run_groups import (
    Logged,
    Tell,
    by_method,
    clean_runs,
    group_runs,
    name_of,
    noise_order,
    with_tables,
)
from noisebench.analysis.run_tables import RunTables
from noisebench.analysis.sample_ranking import open_faces
from noisebench.analysis.tables import Table, comparisons, distinct, overviews
from noisebench.bench.record import RunRecord
from noisebench.bench.store import Run
from noisebench.data.dataset import NoisyFaces
from noisebench.errors import FileError, UserError

CURVES = (
    ("memorisation", "memorisation", "What samples are fitted to, by epoch.", figures.memorisation_curves),
    ("corrections", "corrections", "How right the corrected labels are, by epoch.", figures.correction_curves),
    ("detection", "detection", "How well scores tell noise from clean samples.", figures.detection_by_epoch),
    (
        "noise-rate",
        "noise_rate",
        "The noise rate that cosines tell of, beside the true one.",
        figures.noise_rate_curves,
    ),
    ("drift", "centre_drift", "How far class centres have moved.", figures.centre_drift),
    (
        *("sub-centres", "sub_centres"),
        "Samples by the sub-centre of their class they are nearest to, dominant or not.",
        figures.sub_centre_shares,
    ),
)
"""What is drawn from a table of each run: name, table, caption, and how."""


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
        if is_line(rates):
            part = [record for record in records if record.noise in rates]
            yield Drawing(
                file_name(f"accuracy-over-{series.replace(' ', '-')}"),
                f"What is left as noise grows ({', '.join(rates)}): mean, with its 95 % interval cut at the frame.",
                partial(_over_rate, part, test_sets, rates),
            )


def of_noise(
    runs: Mapping[str, Sequence[Run]], logged: Mapping[str, Sequence[Logged]], clean: Sequence[Run]
) -> Iterator[Drawing]:
    """How methods compare during training under one noise, over all their runs.

    Args:
        runs: By method, see `by_method`.
        logged: Those of them with a sample log, see `with_tables`.
        clean: Finished runs of the same data set on clean labels, to hold class centres against.
    """
    over = _over_seeds(runs)
    yield Drawing(
        "loss",
        f"Training loss by epoch; the losses of different methods have scales of their own.{over}",
        partial(figures.loss_curves, {method: [_history(run) for run in found] for method, found in runs.items()}),
    )
    if logged:
        first = {method: found[0].run for method, found in logged.items()}
        yield Drawing(
            "angles",
            f"Angle to the centre of the label given, by epoch: clean against noisy samples.{_of_first(logged)}",
            partial(_angles, first),
        )
    for name, table, caption, draw in CURVES:
        yield Drawing(name, f"{caption}{over}", partial(draw, _tables(logged, table)))
    yield Drawing(
        "centres",
        "Where class centres end: beside those of the run on clean labels with the same method and seed, after the "
        "best rotation onto them, and beside the mean of a class's truly clean samples. Point: median; thick line: "
        "half of the classes; thin line: nine in ten.",
        partial(_centres, logged, clean),
    )
    norms = {method: found[0] for method, found in _tables(logged, "norm_sharpness").items()}
    yield Drawing(
        "norms",
        f"Norms of embeddings in the last epoch against blur: mean ± standard deviation by tenth.{_of_first(logged)}",
        partial(figures.norms_by_blur, norms),
    )


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


def write_all_figures(runs: Sequence[Run], results: Path, tell: Tell, *, with_faces: bool = False) -> Iterator[Path]:
    """Draw and write every figure of a results folder, as PNG and SVG below ``figures/``; give the files.

    Args:
        runs: What to tell of.
        results: The folder.
        tell: Is told what could not be drawn.
        with_faces: Also those that show images, embed or measure them.
    """
    for same_data in group_runs(sorted(runs, key=noise_order)):
        folder = results / "figures" / file_name(same_data[0].record.suite, same_data[0].record.data.name)
        done = [run for run in same_data if run.record.status == "done"]
        records = [run.record for run in done]
        if done:
            yield from _written(of_results(records, comparisons(records, allow_mixed=True)), folder, (), tell)
        for noise in distinct(record.noise for record in records):
            chosen = by_method([run for run in done if run.record.noise == noise], tell)
            logged = with_tables(chosen, tell, with_images=with_faces)
            yield from _written(of_noise(chosen, logged, clean_runs(done)), folder, (noise,), tell)
            for method, found in tqdm(logged.items(), desc=f"draw {noise}", disable=None):
                run, tables = found[0].run, found[0].tables
                drawings = [*of_run(tables), *(_of_faces(run, tell) if with_faces else ())]
                yield from _written(drawings, folder, (noise, method), tell)


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


def _over_seeds(runs: Mapping[str, Sequence[object]]) -> str:
    """What a line stands for where methods have several runs, as the end of a caption."""
    most = max(map(len, runs.values()), default=0)
    return f" Mean over up to {most} seeds, in a band from the least to the greatest." if most > 1 else ""


def _angles(runs: Mapping[str, Run]) -> Figure:
    folders = {method: run.folder for method, run in runs.items()}
    return figures.angle_distributions(folders, next(iter(runs.values())).manifest())


def _centres(logged: Mapping[str, Sequence[Logged]], clean: Sequence[Run]) -> Figure:
    """Centres held against those of clean runs, method by method and seed by seed, and against clean samples."""
    by_cell = {(run.record.method, run.record.seed): run for run in clean}
    beside: dict[str, list[pd.DataFrame]] = {}
    for method, found in logged.items():
        for run in (one.run for one in found):
            other = by_cell.get((method, run.record.seed))
            if other is None or other.folder == run.folder:
                continue
            with contextlib.suppress(FileError):  # a method without centres, or runs from before they were kept
                beside.setdefault(method, []).append(drift_from_clean_run(run, other))
    means = _tables(logged, "centres_from_clean_means")
    return figures.centres_beside_truth(
        {"from the clean run's centre": beside, "from the mean of clean samples": means}
    )


def _tables(logged: Mapping[str, Sequence[Logged]], name: str) -> dict[str, list[pd.DataFrame]]:
    """A table of each method's runs, of those that have it."""
    found = {
        method: [one.tables.tables[name] for one in runs if name in one.tables.tables]
        for method, runs in logged.items()
    }
    return {method: tables for method, tables in found.items() if tables}


def _history(run: Run) -> pd.DataFrame:
    return pd.DataFrame([epoch.model_dump() for epoch in run.record.history], columns=["epoch", "loss"])


def _of_first(logged: Mapping[str, Sequence[Logged]]) -> str:
    """Which run is meant where methods have several, as the end of a caption."""
    return " The first seed of each method." if max(map(len, logged.values()), default=0) > 1 else ""
