"""From a suite, noise recipes, methods and seeds to cells: every input is checked here, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from tqdm import tqdm

from datasets_tools.make_noise import make_manifest
from noisebench import backbones, methods
from noisebench.bench.cell import Cell, Inputs, MethodChoice, RunConfig, content_hash, run_folder
from noisebench.bench.embedded import embedded_faces
from noisebench.bench.overrides import overridden_suite
from noisebench.bench.provenance import code, method_sha256, plugins_of
from noisebench.bench.record import DataSource, ExpectedData, RunRecord
from noisebench.bench.request import Request
from noisebench.bench.store import manifest_path
from noisebench.bench.suite import Suite, disagreement
from noisebench.data.sampler import BatchSampler
from noisebench.errors import FileError, UserError, did_you_mean
from noisebench.evaluation.test_set import identity, parse
from noisebench.formats.data_source import absolute, folders, open_data
from noisebench.formats.data_source import name as data_name
from noisebench.formats.training_set import TrainingSet
from noisebench.methods.recipe import resolve_method
from noisebench.noise.counter import derive_seed
from noisebench.noise.manifest import Manifest
from noisebench.noise.per_batch import BatchNoise
from noisebench.noise.recipe import NoiseRecipe, load_recipe

NAMED_SEEDS = ("backbone", "head", "order", "augment", "flip", "layers")


@dataclass(frozen=True)
class _Noise:
    """One noise of a bench, made for its data; ``per_batch`` where it is drawn anew for every batch."""

    manifest: Manifest
    per_batch: BatchNoise | None

    @property
    def recipe(self) -> NoiseRecipe:
        return self.manifest.origin.recipe


@dataclass(frozen=True)
class _Data:
    """The opened and checked input of a bench."""

    base: TrainingSet
    outliers: TrainingSet | None
    test_sets: dict[str, str]  # each as it is named, and what tells it from others
    expected: ExpectedData | None  # what was accepted not to be so


def plan(request: Request, say: Callable[[str], None]) -> list[Cell]:
    """All cells of a bench, noise by noise, method by method.

    Writes nothing but the suite's own data, and the noise manifests when everything asked for has been found sound.

    Args:
        request: What to bench.
        say: Is told what takes a while.

    Raises:
        UserError: A name is unknown, or a file or an option is at fault.
    """
    suite = overridden_suite(request.suite, request.overrides, request.methods)
    sources = [_noise_source(name) for name in request.noise]
    choices = {name: _resolve(suite, name) for name in request.methods or suite.methods}
    data = _open(suite, request, say)
    _check_backbone(suite, data.base, request.num_processes)
    BatchSampler(  # refuses batches that cannot be cut, before anything runs
        num_rows=len(data.base.keys),
        batch_size=suite.training.batch_size,
        seed=0,
        world_size=request.num_processes,
        parts=suite.training.accumulate,
    )
    noises = [_make_noise(source, suite, data) for source in sources]
    for num_classes in {noise.manifest.num_train_classes for noise in noises}:
        for choice in choices.values():
            _check_head(suite, choice, num_classes, request.num_processes)
    cells = []
    for noise in noises:
        if noise.per_batch is not None:
            say(f"{noise.recipe.name}: {noise.per_batch}")
        outliers = data.outliers if noise.manifest.origin.fingerprints.outliers is not None else None
        folder = request.results / "runs" / suite.name / noise.recipe.name
        path = _keep_manifest(noise.manifest, manifest_path(folder, noise.manifest.checksum, noise.per_batch))
        inputs = Inputs(
            data=absolute(data.base.folder),
            outliers=absolute(outliers.folder) if outliers else None,
            manifest=path.resolve(),
            test_sets=tuple(data.test_sets),
            reader=request.reader,
            device=request.device,
            timeout_minutes=request.timeout_minutes,
            checkpoint_minutes=request.checkpoint_minutes,
        )
        for name, choice in choices.items():
            for seed in request.seeds or suite.seeds:
                record = _record(suite, noise, name, choice, seed, data, outliers)
                record = record.model_copy(update={"overrides": list(request.overrides)})
                cells.append(Cell(folder=run_folder(request.results, record).resolve(), inputs=inputs, record=record))
    return cells


def _check_backbone(suite: Suite, faces: TrainingSet, num_processes: int) -> None:
    """Build the backbone without its weights, which refuses a name, a size or an option that it cannot take."""
    chosen, training = suite.backbone, suite.training
    device = "cpu" if ":" in chosen.name else "meta"  # another library's may have to compute while it is built
    with torch.device(device):
        backbone = backbones.create(
            chosen.name,
            embedding_size=chosen.embedding_size,
            image_size=faces.image_size,
            checkpointing=chosen.checkpointing,
        )
    normalised = training.batch_size // training.accumulate // (1 if training.sync_batchnorm else num_processes)
    if normalised == 1 and any(isinstance(module, _BatchNorm) for module in backbone.modules()):
        raise UserError(
            f"training.batch_size {training.batch_size} leaves backbone '{chosen.name}' one image at a time, and batch "
            "normalisation needs two: choose a larger batch"
        )


def _check_head(suite: Suite, choice: MethodChoice, num_classes: int, num_processes: int) -> None:
    """Build a method's head without its weights, which refuses options that contradict the classes or the training."""
    with torch.device("cpu" if choice.name in methods.PLUGINS.names() else "meta"):
        head = methods.create(
            choice.name,
            num_classes=num_classes,
            embedding_size=suite.backbone.embedding_size,
            **choice.options,
        )
    try:
        head.check_training(accumulate=suite.training.accumulate, num_processes=num_processes)
    except UserError as error:
        raise UserError(f"method '{choice.name}': {error}") from error


def _noise_source(name: str) -> NoiseRecipe | Manifest:
    """The recipe of that name, or the manifest in that file."""
    return Manifest.read(Path(name)) if name.endswith(".parquet") else load_recipe(name)


def _make_noise(source: NoiseRecipe | Manifest, suite: Suite, data: _Data) -> _Noise:
    if isinstance(source, NoiseRecipe):
        outliers = data.outliers if source.needs_outliers else None
        manifest = make_manifest(source, data.base, outliers, suite.noise_seed)
    else:
        manifest = source
        manifest.check_against(data.base, data.outliers)
    origin = manifest.origin
    return _Noise(manifest, BatchNoise.of(origin.recipe, origin.seed, suite.training.batch_size))


def _resolve(suite: Suite, name: str) -> MethodChoice:
    method, options = resolve_method(name, common=suite.head, own=suite.methods.get(name, {}))
    return MethodChoice(name=method, options=options)


def _open(suite: Suite, request: Request, say: Callable[[str], None]) -> _Data:
    source = request.data or suite.data
    if source is None:
        if suite.faces is None:
            raise UserError(f"suite '{suite.name}' makes no data of its own: name a data set with --data")
        source = embedded_faces(suite.faces, say)
    base = open_data(source, request.reader)
    expected = disagreement(suite, base, request.accept_data)
    with tqdm(total=len(base.keys), desc="checking labels", unit="image", delay=2, leave=False, disable=None) as bar:
        base.check_labels(bar.update)
    outlier_folder = request.outliers or suite.outliers
    if outlier_folder is None:
        beside = [folder / "outliers" for folder in folders(source) if (folder / "outliers").is_dir()]
        outlier_folder = beside[0] if beside else None
    outliers = open_data(outlier_folder, request.reader) if outlier_folder else None
    test_sets = {test_set: identity(parse(test_set)) for test_set in _test_sets(suite, folders(source))}
    return _Data(base, outliers, test_sets, expected)


def _test_sets(suite: Suite, beside: list[Path]) -> list[str]:
    """The suite's test sets, with their whole paths and their variants; of two that are called alike, the first."""
    present = {path.stem: path.resolve() for folder in reversed(beside) for path in sorted(folder.glob("*.bin"))}
    if not present and not suite.test_sets:
        raise FileError(beside[0], "holds no verification set", "put one or more .bin files into the data's folder")
    present |= {path.name: path.resolve() for folder in beside for path in sorted(folder.iterdir()) if path.is_dir()}
    found = []
    for text in suite.test_sets or [name for name, path in present.items() if path.suffix == ".bin"]:
        name, at, variants = text.partition("@")
        if name not in present:
            raise FileError(beside[0] / f"{name}.bin", f"no such test set: {did_you_mean(name, present)}")
        found.append(f"{present[name]}{at}{variants}")
    return found


def _keep_manifest(manifest: Manifest, path: Path) -> Path:
    if not path.is_file() or Manifest.read(path).origin != manifest.origin:  # a recipe says more than its columns
        manifest.write(path)
    return path


def _record(
    suite: Suite,
    noise: _Noise,
    name: str,
    choice: MethodChoice,
    seed: int,
    data: _Data,
    outliers: TrainingSet | None,
) -> RunRecord:
    """The planned record of a cell; its hash is over everything that shapes the result and nothing else."""
    resolved = RunConfig(method=choice, backbone=suite.backbone, training=suite.training)
    config = resolved.model_dump(mode="json")
    manifest, per_batch = noise.manifest, noise.per_batch
    method_source, plugins = method_sha256(choice.name), plugins_of(resolved, data.test_sets)
    content: dict[str, Any] = {
        "config": config,
        "seed": seed,
        "data": data.base.fingerprint,
        "outliers": outliers.fingerprint if outliers else None,
        "test_sets": sorted(data.test_sets.values()),
        "manifest": manifest.checksum,
        "method": method_source,
    }
    if per_batch is not None:  # the manifest's columns, and so its checksum, do not tell
        content["noise_per_batch"] = per_batch.model_dump(mode="json")
    if noise.recipe.open.rendering != "aligned":  # nor does it tell what becomes of an outlier's pixels
        content["outlier_rendering"] = noise.recipe.open.rendering
    if plugins:
        content["plugins"] = [plugin.model_dump() for plugin in plugins]
    return RunRecord(
        status="planned",
        suite=suite.name,
        noise=noise.recipe.name,
        method=name,
        seed=seed,
        hash=content_hash(content),
        config=config,
        method_sha256=method_source,
        manifest_checksum=manifest.checksum,
        noise_counts=manifest.metadata().realised.model_dump(),
        noise_per_batch=per_batch,
        seeds={what: derive_seed(seed, what) for what in NAMED_SEEDS},
        data=_source(data.base),
        data_expected=data.expected,
        outliers=_source(outliers) if outliers else None,
        code=code(plugins),
        precision=suite.training.precision,
    )


def _source(faces: TrainingSet) -> DataSource:
    return DataSource(
        name=data_name(faces.folder),
        fingerprint=faces.fingerprint,
        num_images=len(faces.keys),
        num_classes=faces.num_classes,
    )
