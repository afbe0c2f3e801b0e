"""The record of one run, ``result.json``: all that is needed to compare it, and to know whether it may be compared."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from noisebench.config import Settings, explain
from noisebench.errors import FileError
from noisebench.evaluation.result import TestMetrics as TestMetrics  # part of a record, so that it is found here too
from noisebench.files import write_text
from noisebench.noise.per_batch import BatchNoise
from noisebench.plugins import PluginCode

RECORD_FILE = "result.json"
Status = Literal["planned", "running", "interrupted", "failed", "done"]


class Code(Settings):
    """Which noisebench made the run."""

    version: str = Field(description="Of noisebench.")
    sha256: str = Field(
        description="SHA-256 over the sources of the package, and of the plug-ins but the method; tables average only "
        "runs that agree in it."
    )
    git_commit: str | None = Field(description="Commit of the checkout, null for an installed package.")
    git_dirty: bool | None = Field(description="Whether the checkout had uncommitted changes of code or recipes.")
    plugins: tuple[PluginCode, ...] = Field(
        default=(), description="Method, backbone and protocols of test sets that other packages offer."
    )


class DataSource(Settings):
    """A data set a run read."""

    name: str = Field(description="Name of its folder, or of several with + between them.")
    fingerprint: str = Field(description="SHA-256 over the images' keys or names, their labels and sizes.")
    num_images: int = Field(description="Images of the set, before any noise.")
    num_classes: int = Field(description="Identities.")


class ExpectedData(Settings):
    """What a suite expects of its training set."""

    classes: int | None = Field(default=None, ge=2, description="Identities; null for any number.")
    images: int | None = Field(default=None, ge=1, description="Null for any number.")


class Environment(Settings):
    """Where the run took place; does not enter its name."""

    python: str = Field(description="Its version.")
    torch: str = Field(description="Its version.")
    numpy: str = Field(description="Its version.")
    platform: str = Field(description="Operating system and processor, as Linux x86_64.")
    device: str = Field(description="Name of the GPU, or cpu.")
    world_size: int = Field(description="Processes that trained together.")
    threads: int = Field(description="Threads of each process.")


class Epoch(Settings):
    """What one epoch of training came to."""

    epoch: int = Field(description="Counted from 0.")
    loss: float = Field(description="Mean over the epoch's batches.")
    learning_rate: float = Field(description="At the end of the epoch.")
    images_per_second: float = Field(description="Images trained on, of all processes.")


class RunRecord(Settings):
    """One cell of a bench: a suite, a noise recipe, a method and a seed."""

    schema_version: Literal[1] = 1
    status: Status = Field(description="How far the run is.")
    reason: str | None = Field(default=None, description="Why a failed or interrupted run stopped.")
    suite: str = Field(description="Name of the suite: data, backbone and training.")
    noise: str = Field(description="Name of the noise recipe or manifest.")
    method: str = Field(description="Name of the method, or of the recipe that sets its options.")
    seed: int = Field(description="Of the training; the named seeds are made of it.")
    hash: str = Field(
        description="SHA-256 over configuration, data, manifest checksum and method source; names the run."
    )
    config: dict[str, Any] = Field(description="The resolved configuration, data fingerprints included.")
    overrides: list[str] = Field(
        default=[], description="What was set beside suite and recipes, as KEY=VALUE; the configuration has it in it."
    )
    method_sha256: str = Field(
        description="SHA-256 of the method's source file, or over the sources of the package that offers it."
    )
    manifest_checksum: str = Field(description="SHA-256 over the columns of the noise manifest.")
    noise_counts: dict[str, int] = Field(description="Realised number of images by kind: clean, closed, open.")
    noise_per_batch: BatchNoise | None = Field(
        default=None, description="What is done to every batch, where noise is no property of the sample; else null."
    )
    seeds: dict[str, int] = Field(description="Every named seed of the run.")
    data: DataSource = Field(description="The training set.")
    data_expected: ExpectedData | None = Field(
        default=None, description="What the suite expects, where these data differ and were accepted; else null."
    )
    outliers: DataSource | None = Field(default=None, description="Where open-set noise comes from; null without such.")
    code: Code = Field(description="The noisebench that made the run, and its plug-ins.")
    environment: Environment | None = Field(default=None, description="Null until the run has started.")
    precision: Literal["float32", "bfloat16"] = Field(description="What forward and backward pass compute in.")
    head_mode: Literal["dense", "chunked"] | None = Field(
        default=None, description="Whether the head's last step stored its cosines; null for a head without a choice."
    )
    compiled: bool = Field(default=False, description="Whether the backbone was trained compiled, by torch.compile.")
    averaged: bool = Field(
        default=False, description="Whether the model and its metrics are of averaged weights (training.ema)."
    )
    selection: Literal["last"] = Field(default="last", description="Which weights the metrics are of.")
    metrics: dict[str, TestMetrics] = Field(default={}, description="By test set.")
    history: list[Epoch] = Field(default=[], description="Every finished epoch.")
    timings: dict[str, float] = Field(default={}, description="Seconds by phase: train, test.")
    peak_memory: int | None = Field(
        default=None, description="Bytes of memory the largest of the run's processes had resident at once."
    )
    started: str | None = Field(default=None, description="UTC, ISO 8601.")
    finished: str | None = Field(default=None, description="UTC, ISO 8601.")

    def number(self, key: str, otherwise: float) -> float:
        """A number of the configuration by its dotted key, such as ``training.epochs``.

        Other versions, and other hands, write records too: ``otherwise`` where this one holds no number there.
        """
        value: Any = self.config
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value if isinstance(value, int | float) and math.isfinite(value) else otherwise

    def write(self, folder: Path) -> None:
        """Write ``result.json`` into the run's folder, whole or not at all."""
        write_text(folder / RECORD_FILE, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """Read the ``result.json`` of a run's folder.

        Raises:
            FileError: It is no record this version can read.
        """
        path = folder / RECORD_FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            remedy = "remove the folder to run it anew"
            raise FileError(path, f"no result record of this version: {explain(error, cls)}", remedy) from error
