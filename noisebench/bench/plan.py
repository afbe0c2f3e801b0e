"""From a suite, noise recipes, methods and seeds to cells: every input is checked here, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from datasets_tools.make_noise import make_manifest
from noisebench import methods as method_registry
from noisebench.bench.cell import Cell, Inputs, MethodChoice, RunConfig, content_hash, run_folder
from noisebench.bench.embedded import embedded_faces
from noisebench.bench.provenance import code
from noisebench.bench.record import DataSource, RunRecord
from noisebench.bench.store import manifest_path
from noisebench.bench.suite import Suite, load_suite
from noisebench.data.sampler import BatchSampler
from noisebench.errors import FileError, UserError, did_you_mean
from noisebench.files import sha256_of
from noisebench.formats import verification_bin
from noisebench.formats.face_set import FaceSet
from noisebench.formats.verification_bin import VerificationSet
from noisebench.methods.recipe import resolve_method
from noisebench.noise.counter import derive_seed
from noisebench.noise.manifest import Manifest
from noisebench.noise.per_batch import BatchNoise
from noisebench.noise.recipe import NoiseRecipe, load_recipe

NAMED_SEEDS = ("backbone", "head", "order", "flip", "layers")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asks a bench for; None leaves the choice to the suite."""

    suite: str
    noise: tuple[str, ...]
    methods: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    data: Path | None = None
    outliers: Path | None = None
    results: Path = Path("results")
    reader: str = "native"
    device: str = "auto"
    num_processes: int = 1


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

    base: FaceSet
    outliers: FaceSet | None
    test_sets: dict[Path, VerificationSet]


def plan(request: Request, say: Callable[[str], None]) -> list[Cell]:
    """All cells of a bench, noise by noise, method by method.

    Writes nothing but the suite's own data, and the noise manifests when everything asked for has been found sound.

    Args:
        request: What to bench.
        say: Is told what takes a while.

    Raises:
        UserError: A name is unknown, or a file or an option is at fault.
    """
    suite = load_suite(request.suite)
    sources = [_noise_source(name) for name in request.noise]
    choices = {name: _resolve(suite, name) for name in request.methods or suite.methods}
    data = _open(suite, request, say)
    BatchSampler(  # refuses batches that cannot be cut, before anything runs
        num_rows=len(data.base.keys),
        batch_size=suite.training.batch_size,
        seed=0,
        world_size=request.num_processes,
    )
    noises = [_make_noise(source, suite, data) for source in sources]
    cells = []
    for noise in noises:
        if noise.per_batch is not None:
            say(f"{noise.recipe.name}: {noise.per_batch}")
        outliers = data.outliers if noise.manifest.origin.fingerprints.outliers is not None else None
        folder = request.results / "runs" / suite.name / noise.recipe.name
        path = _keep_manifest(noise.manifest, manifest_path(folder, noise.manifest.checksum, noise.per_batch))
        inputs = Inputs(
            data=data.base.folder.resolve(),
            outliers=outliers.folder.resolve() if outliers else None,
            manifest=path.resolve(),
            test_sets=tuple(test_set.resolve() for test_set in data.test_sets),
            reader=request.reader,
            device=request.device,
        )
        for name, choice in choices.items():
            for seed in request.seeds or suite.seeds:
                record = _record(suite, noise, name, choice, seed, data, outliers)
                cells.append(Cell(folder=run_folder(request.results, record).resolve(), inputs=inputs, record=record))
    return cells


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
    folder = request.data or suite.data
    if folder is None:
        if suite.faces is None:
            raise UserError(f"suite '{suite.name}' makes no data of its own: name a data set with --data")
        folder = embedded_faces(suite.faces, say)
    base = FaceSet.open(folder, request.reader)
    with tqdm(total=len(base.keys), desc="checking labels", unit="image", delay=2, leave=False, disable=None) as bar:
        base.check_labels(bar.update)
    outlier_folder = request.outliers or suite.outliers
    if outlier_folder is None and (folder / "outliers").is_dir():
        outlier_folder = folder / "outliers"
    outliers = FaceSet.open(outlier_folder, request.reader) if outlier_folder else None
    return _Data(base, outliers, {path: verification_bin.read(path) for path in _test_set_paths(suite, folder)})


def _test_set_paths(suite: Suite, folder: Path) -> list[Path]:
    present = {path.stem: path for path in sorted(folder.glob("*.bin"))}
    for name in suite.test_sets:
        if name not in present:
            raise FileError(folder / f"{name}.bin", f"no such test set: {did_you_mean(name, present)}")
    if not present:
        raise FileError(folder, "holds no verification set", "put one or more .bin files beside train.rec")
    return [present[name] for name in suite.test_sets] or list(present.values())


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
    outliers: FaceSet | None,
) -> RunRecord:
    """The planned record of a cell; its hash is over everything that shapes the result and nothing else."""
    config = RunConfig(method=choice, backbone=suite.backbone, training=suite.training).model_dump(mode="json")
    manifest, per_batch = noise.manifest, noise.per_batch
    method_sha256 = sha256_of(method_registry.source_file(choice.name))
    content: dict[str, Any] = {
        "config": config,
        "seed": seed,
        "data": data.base.fingerprint,
        "outliers": outliers.fingerprint if outliers else None,
        "test_sets": sorted(testset.sha256 for testset in data.test_sets.values()),
        "manifest": manifest.checksum,
        "method": method_sha256,
    }
    if per_batch is not None:  # the manifest's columns, and so its checksum, do not tell
        content["noise_per_batch"] = per_batch.model_dump(mode="json")
    if noise.recipe.open.rendering != "aligned":  # nor does it tell what becomes of an outlier's pixels
        content["outlier_rendering"] = noise.recipe.open.rendering
    return RunRecord(
        status="planned",
        suite=suite.name,
        noise=noise.recipe.name,
        method=name,
        seed=seed,
        hash=content_hash(content),
        config=config,
        method_sha256=method_sha256,
        manifest_checksum=manifest.checksum,
        noise_counts=manifest.metadata().realised.model_dump(),
        noise_per_batch=per_batch,
        seeds={what: derive_seed(seed, what) for what in NAMED_SEEDS},
        data=_source(data.base),
        outliers=_source(outliers) if outliers else None,
        code=code(),
        precision=suite.training.precision,
    )


def _source(faces: FaceSet) -> DataSource:
    return DataSource(
        name=faces.folder.resolve().name,
        fingerprint=faces.fingerprint,
        num_images=len(faces.keys),
        num_classes=faces.num_classes,
    )
