"""A suite: data, backbone, training and the methods to compare, in one YAML file under ``recipes/suites``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from noisebench.config import Settings, read_settings, recipe_path
from noisebench.errors import FileError
from noisebench.training.settings import BackboneSettings, TrainingSettings


class EmbeddedFaces(Settings):
    """The synthetic data set that is made when no other is given; see `datasets_tools.synthetic`."""

    identities: int = Field(default=240, ge=2)
    images: int = Field(default=24, ge=1, description="Images an identity.")
    seed: int = Field(default=0, ge=0)


class Suite(Settings):
    """What a bench keeps fixed while it varies method, noise and seed."""

    name: str
    description: str
    faces: EmbeddedFaces | None = Field(default=None, description="Data to make where no data set is given.")
    data: Path | None = Field(default=None, description="A data set's folder; --data overrides it.")
    outliers: Path | None = Field(default=None, description="Default: the folder 'outliers' in the data set's.")
    test_sets: tuple[str, ...] = Field(
        default=(), description="Names of .bin files; default: all in the data's folder."
    )
    backbone: BackboneSettings
    training: TrainingSettings
    head: dict[str, Any] = Field(default={}, description="Options for every method that has them, such as scale.")
    methods: dict[str, dict[str, Any]] = Field(description="Methods run by default, each with options of its own.")
    seeds: tuple[int, ...] = (0,)
    noise_seed: int = Field(default=0, ge=0)


def load_suite(name: str) -> Suite:
    """The suite of that name, or of that YAML file.

    Raises:
        FileError: There is no such suite, it is faulty, or its name is not its file's.
    """
    path = recipe_path("suites", name)
    suite = read_settings(path, Suite)
    if suite.name != path.stem:
        raise FileError(path, f"key 'name' is '{suite.name}', but the file is called '{path.stem}'")
    return suite
