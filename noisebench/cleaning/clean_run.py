"""Cleaning by a finished run: its images judged by a rule, and the manifest of those that remain."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noisebench.analysis.run_log import RunLog
from noisebench.bench.store import Run
from noisebench.cleaning.decisions import Decisions
from noisebench.cleaning.rules import Rule
from noisebench.errors import FileError
from noisebench.noise.manifest import Manifest
from noisebench.noise.schema import CLEAN, CLOSED, FROM_OUTLIERS, KINDS, OPEN, Cleaned, Counts, Fingerprints

OTHER_FOLDER = "choose another folder, or remove this one"


@dataclass(frozen=True, eq=False)
class Cleaning:
    """One round of cleaning.

    Attributes:
        before: The manifest that the run was trained with.
        decisions: What becomes of its rows.
        after: The manifest of what remains.
    """

    before: Manifest
    decisions: Decisions
    after: Manifest

    @property
    def share_changed(self) -> float:
        """Share of the images that were dropped or relabelled."""
        return float(self.decisions.changed.mean())

    def write(self, path: Path) -> None:
        """Write the manifest of what remains, and beside it the decisions; see `decisions_path`.

        Raises:
            FileError: A file cannot be written.
        """
        self.decisions.write(decisions_path(path), self.before)
        self.after.write(path)


def clean_run(run: Run, rule: Rule) -> Cleaning:
    """Clean the data set that a finished run was trained with, by what it says of its images.

    Raises:
        UserError: The run is not finished, was trained with noise by batch, or does not tell what the rule needs.
        FileError: Its log is missing, damaged, or another manifest's.
    """
    _check_finished(run)
    before = run.manifest()
    before.origin.recipe.check_is_by_sample()
    decisions = Decisions.of(rule.judge(run, RunLog.of_run(run)), rule.action, before, _rounds(before) + 1)
    return Cleaning(before, decisions, cleaned_manifest(before, decisions, run, rule))


def cleaned_before(run: Run, rule: Rule, path: Path) -> Cleaning:
    """The same cleaning as an earlier call wrote it to ``path``, read again.

    Raises:
        FileError: What lies there is of another run or rule, or is damaged.
    """
    before, after = run.manifest(), Manifest.read(path)
    check_rule(after, rule, path)
    if after.origin.cleaned != _cleaned_by(before, run, rule, len(before) - len(after)):
        raise FileError(path, "was made by another run", OTHER_FOLDER)
    return Cleaning(before, Decisions.read(decisions_path(path), len(before)), after)


def check_rule(cleaned: Manifest, rule: Rule, path: Path) -> None:
    """Refuse a manifest that another rule has left.

    Raises:
        FileError: It is none that this rule could have left at ``path``.
    """
    former = cleaned.origin.cleaned
    if former is None or former.rule != str(rule):
        made = f"was made by the rule '{former.rule}', not '{rule}'" if former else "is no cleaned manifest"
        raise FileError(path, made, OTHER_FOLDER)


def decisions_path(path: Path) -> Path:
    """Where the decisions lie beside a cleaned manifest: ``clean.decisions.parquet`` beside ``clean.parquet``."""
    return path.with_suffix(f".decisions{path.suffix}")


def cleaned_manifest(manifest: Manifest, decisions: Decisions, run: Run, rule: Rule) -> Manifest:
    """The rows of a manifest that remain, with their new labels, and ``kind`` as is true of these.

    An image of nobody stays open-set noise, whatever its label.
    """
    stays = decisions.stays
    columns = {name: column[stays] for name, column in manifest.columns().items()}
    label, is_open = decisions.new_label[stays], columns["kind"] == OPEN
    if manifest.origin.known is not None:  # there, an image of nobody has no true label but its label
        columns["true_label"] = np.where(is_open, label, columns["true_label"])
    right = np.where(label == columns["true_label"], np.int8(CLEAN), np.int8(CLOSED))
    columns |= {"label": label, "kind": np.where(is_open, np.int8(OPEN), right)}
    origin = manifest.origin
    cleaned = _cleaned_by(manifest, run, rule, int(np.sum(~stays)))
    counts = np.bincount(columns["kind"], minlength=len(KINDS)).tolist()
    shows_outliers = bool((columns["source"] == FROM_OUTLIERS).any())
    changes = {
        "recipe": origin.recipe.model_copy(update={"name": _name(manifest)}),
        "fingerprints": origin.fingerprints if shows_outliers else _without_outliers(manifest),
        "asked": Counts(**dict(zip(KINDS, counts, strict=True))),
        "cleaned": cleaned,
    }
    return Manifest(**columns, origin=origin.model_copy(update=changes))


def _cleaned_by(manifest: Manifest, run: Run, rule: Rule, num_dropped: int) -> Cleaned:
    former = manifest.origin.cleaned
    return Cleaned(
        manifest=manifest.checksum,
        run=run.record.hash,
        rule=str(rule),
        rounds=_rounds(manifest) + 1,
        dropped=num_dropped + (former.dropped if former else 0),
    )


def _rounds(manifest: Manifest) -> int:
    """How often a manifest has been cleaned."""
    return manifest.origin.cleaned.rounds if manifest.origin.cleaned is not None else 0


def _name(manifest: Manifest) -> str:
    """The name of what remains: ``closed30-cleaned1``, then ``closed30-cleaned2``; runs and tables go by it."""
    rounds, name = _rounds(manifest), manifest.origin.recipe.name
    return f"{re.sub(f'-cleaned{rounds}$', '', name)}-cleaned{rounds + 1}"


def _without_outliers(manifest: Manifest) -> Fingerprints:
    return manifest.origin.fingerprints.model_copy(update={"outliers": None})


def _check_finished(run: Run) -> None:
    if run.record.status != "done":
        remedy = "finish it with the same 'noisebench bench' command"
        raise FileError(run.folder, f"is a run that is {run.record.status}, not done", remedy)
