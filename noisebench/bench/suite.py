"""A suite: data, backbone, training and the methods to compare, in one YAML file under ``recipes/suites``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from noisebench.bench.record import ExpectedData
from noisebench.config import Settings, read_settings, recipe_path
from noisebench.errors import FileError, did_you_mean
from noisebench.formats.training_set import TrainingSet
from noisebench.training.settings import BackboneSettings, TrainingSettings

Value = bool | int | float | str | None | tuple[bool | int | float | str | None, ...]


class EmbeddedFaces(Settings):
    """The synthetic data set that is made when no other is given; see `datasets_tools.synthetic`."""

    identities: int = Field(default=240, ge=2)
    images: int = Field(default=24, ge=1, description="Images an identity.")
    seed: int = Field(default=0, ge=0)


class PublishedValue(Settings):
    """One setting of the training that a suite follows, as its source has it."""

    key: str = Field(description="As `noisebench show suite` prints it, such as training.epochs.")
    value: Value
    source: str = Field(description="A key of the suite's sources.")
    note: str = Field(default="", description="Why the suite differs, if it does.")


class Suite(Settings):
    """What a bench keeps fixed while it varies method, noise and seed."""

    name: str
    description: str
    faces: EmbeddedFaces | None = Field(default=None, description="Data to make where no data set is given.")
    data: Path | None = Field(default=None, description="A data set's folder; --data overrides it.")
    expects: ExpectedData = Field(default=ExpectedData(), description="Of the data, whichever they are.")
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
    sources: dict[str, str] = Field(
        default={}, description="What the set-up follows: repository, commit, file, table, by a short name."
    )
    published: tuple[PublishedValue, ...] = Field(default=(), description="What the sources say.")

    @model_validator(mode="after")
    def _sources_are_named(self) -> Self:
        for published in self.published:
            if published.source not in self.sources:
                near = did_you_mean(published.source, self.sources)
                raise ValueError(f"the source '{published.source}' of '{published.key}' is not in 'sources': {near}")
        return self


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


def disagreement(suite: Suite, faces: TrainingSet, accepted: bool) -> ExpectedData | None:
    """What a suite expects of the data, where they differ and that is accepted.

    Raises:
        FileError: They differ, and it is not.
    """
    found = {"classes": faces.num_classes, "images": len(faces.keys)}
    wanted = suite.expects.model_dump(exclude_none=True)
    if all(found[what] == number for what, number in wanted.items()):
        return None
    if not accepted:
        has, expects = (" and ".join(f"{numbers[what]:,} {what}" for what in wanted) for numbers in (found, wanted))
        problem = f"has {has}, where suite '{suite.name}' expects {expects}"
        raise FileError(faces.folder, problem, "if that is meant, --accept-data goes on with these data")
    return suite.expects
