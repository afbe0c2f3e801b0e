"""The parts of the page below the leaderboard: data sets with their noises, methods, provenance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from noisebench.analysis import drawings
from noisebench.analysis.drawings import Drawing
from noisebench.analysis.figures import NothingToDrawError
from noisebench.analysis.gallery import COLUMNS, Gallery, galleries
from noisebench.analysis.robustness import robustness
from noisebench.analysis.run_groups import Logged, by_method, with_tables
from noisebench.analysis.run_tables import RunTables
from noisebench.analysis.sample_ranking import open_faces
from noisebench.analysis.tables import code_in_words, distinct, noise_in_words, overviews
from noisebench.bench.record import RunRecord
from noisebench.bench.store import Run
from noisebench.errors import UserError
from noisebench.report.leaderboard import Ranked
from noisebench.report.pictures import Budget, Picture
from noisebench.report.tables import Comparison, comparison

NO_IMAGES = "no images can be shown"


@dataclass(frozen=True)
class FaceGroup:
    """Images of one class, or the sample itself, as data URIs."""

    heading: str
    caption: str
    uris: list[str]
    kind: str = ""


@dataclass(frozen=True)
class FaceGallery:
    """A gallery, ready to show: each row is the sample, then its groups."""

    title: str
    rows: list[list[FaceGroup]]


@dataclass
class Section:
    """A part of the page.

    Attributes:
        title: Its heading.
        tables: What is compared.
        pictures: Figures.
        galleries: Of samples.
        problems: What cannot be shown, and why.
        notes: What the results have nothing of.
    """

    title: str
    tables: list[Comparison] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    galleries: list[FaceGallery] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def draw(self, drawn: Iterable[Drawing], budget: Budget) -> None:
        """Add the figures that the results have something for; of the others, tell those that should be there."""
        for drawing in drawn:
            try:
                picture = budget.figure(drawing.draw(), drawing.caption)
            except NothingToDrawError:
                continue
            except UserError as error:
                self.problems.append(f"{drawing.caption.rstrip('.')}: {error}")
                continue
            if picture is not None:
                self.pictures.append(picture)


def of_data(runs: Sequence[Run], groups: Sequence[Ranked], budget: Budget) -> Section:
    """What methods reach on one data set, over all noises."""
    first = runs[0].record
    section = Section(f"{first.suite}, {first.data.name}")
    usable = [group for group in groups if not group.refusal]
    section.draw(
        drawings.of_results(
            [record for group in usable for record in group.records if record.status == "done"],
            [table for group in usable for table in group.tables],
        ),
        budget,
    )
    records = [run.record for run in runs]
    if len({record.noise for record in records}) > 1:
        for test_set in distinct(name for record in records for name in record.metrics):
            for make in (overviews, robustness):
                try:
                    section.tables += map(comparison, make(records, test_set))
                except UserError as error:
                    section.problems.append(str(error))
    section.problems = list(dict.fromkeys(section.problems))
    return section


def of_noise(
    runs: Sequence[Run], group: Ranked, clean: Sequence[Run], budget: Budget, *, with_faces: bool
) -> tuple[Section, dict[str, list[Logged]]]:
    """How methods compare under one noise, and what their logs hold; ``clean`` are the runs on clean labels."""
    section = Section(group.records[0].noise)
    section.tables += map(comparison, group.tables)
    if group.refusal:
        section.problems.append(f"Each run stands alone: {group.refusal}")
    chosen = by_method(runs, section.problems.append)
    logged = with_tables(chosen, section.problems.append, with_images=with_faces)
    section.draw(drawings.of_noise(chosen, logged, clean), budget)
    return section, logged


def of_run(run: Run, tables: RunTables, budget: Budget, *, with_faces: bool) -> Section:
    """What one run's logs, model and images tell; its galleries are for `add_galleries`."""
    section = Section(f"{run.record.noise}, seed {run.record.seed}", notes=list(tables.notes))
    section.draw(drawings.of_run(tables), budget)
    if with_faces:
        try:
            section.draw(drawings.of_images(run, open_faces(run)), budget)
        except UserError as error:
            section.problems.append(f"{NO_IMAGES}: {error}")
    return section


def add_galleries(section: Section, run: Run, budget: Budget, num_rows: int) -> None:
    """Add galleries of so many rows each to what is told of a run, as far as the budget suffices."""
    try:
        shown = map(partial(_gallery, budget=budget), galleries(run, open_faces(run), num_rows))
        section.galleries += [gallery for gallery in shown if gallery is not None]
    except UserError as error:
        section.problems = list(dict.fromkeys([*section.problems, f"{NO_IMAGES}: {error}"]))


def provenance(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Where each run comes from: a column by name."""
    return [_provenance(run.record) for run in runs]


def named_seeds(runs: Sequence[Run]) -> list[tuple[str, dict[str, int]]]:
    """What was drawn from which seed, by the seed of the run. Each once."""
    found = [(str(run.record.seed), run.record.seeds) for run in runs if run.record.seeds]
    return [entry for place, entry in enumerate(found) if entry not in found[:place]]


def identities(runs: Sequence[Run]) -> list[tuple[str, str, str]]:
    """What the runs read: what it is, a description, its SHA-256. Each once."""
    found: dict[tuple[str, str, str], None] = {}
    for record in (run.record for run in runs):
        for role, source in (("training set", record.data), ("outlier set", record.outliers)):
            if source is not None:
                what = f"{source.name}: {source.num_images:,} images of {source.num_classes:,} identities"
                found[role, what, source.fingerprint] = None
        found["noise manifest", noise_in_words(record), record.manifest_checksum] = None
        for name, result in record.metrics.items():
            protocol = f", {result.provenance.protocol}" if result.provenance is not None else ""
            found["test set", f"{name}{protocol}", result.sha256] = None
        found["source of the method", record.method, record.method_sha256] = None
        found["sources of noisebench", code_in_words(record), record.code.sha256] = None
    return sorted(found)


def _provenance(record: RunRecord) -> dict[str, str]:
    place = record.environment
    return {
        "suite": record.suite,
        "noise": record.noise,
        "method": record.method,
        "seed": str(record.seed),
        "status": f"{record.status}: {record.reason}" if record.reason else record.status,
        "hash": record.hash[:8],
        "code": f"{code_in_words(record)}, sources {record.code.sha256[:8]}",
        "manifest": record.manifest_checksum[:8],
        "data": f"{record.data.name} {record.data.fingerprint[:8]}",
        "weights": f"{record.selection} epoch, {record.precision}",
        "machine": f"{place.platform}, {place.device}, {place.world_size} × {place.threads} threads" if place else "",
        "libraries": f"Python {place.python}, torch {place.torch}, NumPy {place.numpy}" if place else "",
        "started": record.started or "",
        "seconds": ", ".join(f"{phase} {seconds:,.0f}" for phase, seconds in record.timings.items()),
    }


def _gallery(gallery: Gallery, budget: Budget) -> FaceGallery | None:
    """A gallery as data URIs; None where the budget does not suffice."""
    images = [
        image
        for row in gallery.rows
        for image in (row.image, *(image for group in row.groups for image in group.images))
    ]
    uris = budget.faces(images)
    if uris is None:
        return None
    following = iter(uris)
    rows = []
    for row in gallery.rows:
        groups = [FaceGroup("image", row.caption, [next(following)], row.kind)]
        for heading, group in zip(COLUMNS, row.groups, strict=True):
            groups.append(FaceGroup(heading, group.caption, [next(following) for _ in group.images]))
        rows.append(groups)
    return FaceGallery(gallery.title, rows)
