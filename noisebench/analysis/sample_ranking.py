"""The samples worth looking at: the hardest of a run, and those a method was wrong about in the end.

A sample's gap is its angle to the label less that to the nearest other class: above 0, another class is nearer. A
method is wrong about a sample in one of three ways:

- ``corrected``: its loss used another label than the one given, and not the true class either;
- ``fitted``: the label is wrong, the loss kept it, and no class is nearer to the sample than that of the label;
- ``missed``: the label is right, the loss kept it, and another class is nearer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from noisebench.analysis.run_log import EpochSamples, RunLog
from noisebench.analysis.sample_log import read_samples
from noisebench.analysis.text import pipe_table
from noisebench.bench.cell import CELL_FILE, Cell
from noisebench.bench.store import Run
from noisebench.data.dataset import NoisyFaces
from noisebench.errors import FileError, UserError, did_you_mean
from noisebench.files import whole_file, whole_folder
from noisebench.formats.data_source import open_data
from noisebench.noise.manifest import KINDS, Manifest
from noisebench.noise.per_batch import NO_OUTLIER
from noisebench.noise.schema import CLEAN, FROM_OUTLIERS, OPEN

FAULTS = ("corrected", "fitted", "missed")
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG"


def rank_samples(
    run: Run,
    *,
    wrong: bool = False,
    kind: str | None = None,
    fault: str | None = None,
    epoch: int | None = None,
    top: int = 50,
) -> pd.DataFrame:
    """The first samples of a run by their gap: the hardest first or, of the wrong ones, the clearest.

    Args:
        run: A run with a sample log.
        wrong: Only samples the method was wrong about.
        kind: Only clean, closed or open ones.
        fault: Only samples wrong in this way, one of `FAULTS`.
        epoch: Of which epoch; None for the last.
        top: At most so many.

    Returns:
        A row a sample: ``row`` of the manifest, ``index`` (key of the record in the base set), ``kind``, ``label``,
        ``true_label`` (-1 for open-set noise), ``used_label``, ``nearest``, ``angle_label``, ``angle_true`` (NaN
        where there is none), ``angle_nearest`` (in radians), ``norm``, ``fault`` ("" for none) and ``epoch``.

    Raises:
        UserError: A name is unknown, or the run has no such log.
    """
    for option, name, known in (("--kind", kind, KINDS), ("--fault", fault, FAULTS)):
        if name is not None and name not in known:
            raise UserError(f"{option} '{name}' is unknown: {did_you_mean(name, known)}")
    log = RunLog.of_run(run)
    samples = log.epoch(log.epochs[-1] if epoch is None else epoch)
    faults = faults_of(samples)
    chosen = np.ones(len(samples), bool)
    if kind is not None:
        chosen &= samples.kind == KINDS.index(kind)
    if fault is not None:
        chosen &= faults == FAULTS.index(fault)
    elif wrong:
        chosen &= faults >= 0
    gap = samples.angle_label - samples.angle_nearest
    score = np.abs(gap) if wrong or fault is not None else gap
    candidates = np.flatnonzero(chosen)
    places = candidates[np.argsort(-score[candidates], kind="stable")[:top]]
    return _frame(samples, log.manifest, faults, places)


def faults_of(samples: EpochSamples) -> NDArray[np.int8]:
    """In what way the method is wrong about each sample: codes into `FAULTS`, -1 where it is not; [N]."""
    is_open = samples.kind == OPEN
    to_label = samples.angle_label <= samples.angle_nearest
    corrected = samples.corrected & (is_open | (samples.used_label != samples.true_label))
    fitted = ~samples.corrected & (samples.kind != CLEAN) & to_label
    missed = ~samples.corrected & (samples.kind == CLEAN) & ~to_label
    return np.select([corrected, fitted, missed], [0, 1, 2], -1).astype(np.int8)


def ranking_text(samples: pd.DataFrame) -> str:
    """The samples as a Markdown table, angles in degrees."""
    heading = [
        "index",
        "kind",
        "label",
        "true",
        "used",
        "nearest",
        "to label",
        "to true",
        "to nearest",
        "norm",
        "wrong",
    ]
    rows = [heading]
    for sample in samples.to_dict("records"):
        is_stranger = sample["true_label"] < 0
        angles = [sample[name] for name in ("angle_label", "angle_true", "angle_nearest")]
        rows.append(
            [
                *(str(sample[name]) for name in ("index", "kind", "label")),
                "nobody" if is_stranger else str(sample["true_label"]),
                *(str(sample[name]) for name in ("used_label", "nearest")),
                *("–" if np.isnan(angle) else f"{np.degrees(angle):.1f}°" for angle in angles),
                f"{sample['norm']:.1f}",
                str(sample["fault"]),
            ]
        )
    return "\n".join(pipe_table(rows))


def write_images(
    run: Run, samples: pd.DataFrame, folder: Path, data: Path | None = None, outliers: Path | None = None
) -> None:
    """Copy the samples' images as they are stored, named by place, key, kind, labels and fault.

    Args:
        run: The run the samples are of.
        samples: Of `rank_samples`.
        folder: A new or empty folder.
        data: The run's training set; None for where the run read it.
        outliers: Its outlier set; None for where the run read it.

    Raises:
        UserError: A set cannot be found, or is another one.
        FileError: ``folder`` is not empty, or an image cannot be read.
    """
    shown = open_faces(run, data, outliers)
    from_outliers, key = sources_of(run, samples, shown.manifest)
    if shown.outliers is None and from_outliers.any():
        raise UserError("some of these images come from the outlier set: name it with --outliers")
    with whole_folder(folder) as temporary:
        for number, sample in enumerate(samples.to_dict("records")):
            faces = shown.outliers if from_outliers[number] and shown.outliers is not None else shown.base
            image = bytes(faces.jpeg(int(key[number])))
            truth = f"true{sample['true_label']}" if sample["true_label"] >= 0 else "nobody"
            parts = [f"{number:04d}", f"index{sample['index']}", sample["kind"], f"label{sample['label']}", truth]
            name = "-".join([*parts, *filter(None, [sample["fault"]])])
            with whole_file(temporary / f"{name}{_ending(image)}") as path:
                path.write_bytes(image)


def open_faces(run: Run, data: Path | None = None, outliers: Path | None = None) -> NoisyFaces:
    """What a run was trained on: its sets, where they are said to lie or where the run read them, and its manifest.

    Raises:
        UserError: A set cannot be found, or is another one.
    """
    base, strangers = images_of(run, data, outliers)
    return NoisyFaces(open_data(base), open_data(strangers) if strangers is not None else None, run.manifest())


def images_of(run: Run, data: Path | None = None, outliers: Path | None = None) -> tuple[Path, Path | None]:
    """Where the run's training set and outlier set lie: where they are said to, or where the run read them.

    Raises:
        FileError: Neither tells.
    """
    if data is not None:
        return data, outliers
    try:
        inputs = Cell.read(run.folder).inputs
    except (OSError, ValidationError) as error:
        raise FileError(
            run.folder / CELL_FILE, "does not say where the training set lies", "name it with --data"
        ) from error
    return inputs.data, outliers or inputs.outliers


def _frame(
    samples: EpochSamples, manifest: Manifest, faults: NDArray[np.int8], places: NDArray[np.int64]
) -> pd.DataFrame:
    row, kind = samples.row[places], samples.kind[places]
    return pd.DataFrame(
        {
            "row": row,
            "index": manifest.index[row],
            "kind": np.array(KINDS)[kind],
            "label": samples.label[places],
            "true_label": np.where(kind == OPEN, -1, samples.true_label[places]),
            "used_label": samples.used_label[places],
            "nearest": samples.nearest[places],
            "angle_label": samples.angle_label[places],
            "angle_true": samples.angle_true[places],
            "angle_nearest": samples.angle_nearest[places],
            "norm": samples.norm[places],
            "fault": np.array([*FAULTS, ""])[faults[places]],
            "epoch": samples.epoch,
        }
    )


def sources_of(run: Run, samples: pd.DataFrame, manifest: Manifest) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Whether each image comes from the outlier set, and its key there or in the base set."""
    row = samples["row"].to_numpy()
    from_outliers, key = manifest.source[row] == FROM_OUTLIERS, manifest.source_index[row]
    if manifest.origin.recipe.per_batch is None or samples.empty:
        return from_outliers, key
    logged = read_samples(run.folder, int(samples["epoch"].iloc[0]), ["row", "outlier_index"])
    shown = logged.set_index("row")["outlier_index"].loc[row].to_numpy()
    return shown != NO_OUTLIER, np.where(shown != NO_OUTLIER, shown, key)


def _ending(image: bytes) -> str:
    return ".jpg" if image.startswith(_JPEG) else ".png" if image.startswith(_PNG) else ".bin"
