"""``--set KEY=VALUE``: another value than a suite's or a method's, checked like theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from noisebench.bench.overrides import overridden_suite
from noisebench.bench.plan import plan
from noisebench.bench.request import Request
from noisebench.bench.suite import load_suite
from noisebench.config import read_yaml, recipe_path
from noisebench.errors import UserError
from tests.tiny import write_faces, write_suite


def silent(_: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("overrides") / "faces")


@pytest.mark.parametrize(
    ("text", "way", "value"),
    [
        ("training.epochs=3", "training.epochs", 3),
        ("training.weight_decay=1e-4", "training.weight_decay", 1e-4),  # which YAML 1.1 takes for text
        ("training.schedule.learning_rate=0.2", "training.schedule.learning_rate", 0.2),
        ("training.augment={crop: 0.5}", "training.augment.crop", 0.5),
        ("training.augment.crop=0.5", "training.augment.crop", 0.5),
        ("training.clip_norm=null", "training.clip_norm", None),
        ("backbone.name=mobilefacenet", "backbone.name", "mobilefacenet"),
        ("noise_seed=7", "noise_seed", 7),
        ("seeds=[1, 2]", "seeds", (1, 2)),
    ],
)
def test_one_value_is_another_and_all_else_stays(text: str, way: str, value: Any) -> None:
    changed, before = overridden_suite("synth", [text]), load_suite("synth")
    found: Any = changed
    for part in way.split("."):
        found = getattr(found, part)
    assert found == value
    first = way.partition(".")[0]
    assert changed.model_dump(exclude={first}) == before.model_dump(exclude={first})


def test_without_any_the_suite_is_as_its_file_says() -> None:
    assert overridden_suite("synth", []) == load_suite("synth")
    assert read_yaml(recipe_path("suites", "synth"))["name"] == "synth"


def test_options_of_every_method_or_of_one() -> None:
    chosen = ["arcface", "cosface"]
    every = overridden_suite("synth", ["method.margin=0.3", "head.scale=32"], chosen)
    assert [every.methods[name]["margin"] for name in chosen] == [0.3, 0.3]
    assert every.head["scale"] == 32
    one = overridden_suite("synth", ["methods.arcface.margin=0.3"], chosen)
    assert one.methods["arcface"] == {"margin": 0.3}
    assert "margin" not in one.methods["cosface"]
    last = overridden_suite("synth", ["method.margin=0.3", "methods.arcface.margin=0.4"], chosen)
    assert [last.methods[name]["margin"] for name in chosen] == [0.4, 0.3]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("training.epochs", "is no KEY=VALUE: write for example --set training.epochs=3"),
        ("=3", "is no KEY=VALUE"),
        ("training..epochs=3", "is no KEY=VALUE"),
        ("trainin.epochs=3", "unknown key 'trainin': did you mean 'training'?"),
        ("training.epoch=3", "unknown key 'training.epoch': did you mean 'epochs'?"),
        ("epochs=3", "unknown key 'epochs': did you mean 'training.epochs'?"),
        ("training.epochs=many", "key 'training.epochs' is 'many': Input should be a valid integer"),
        ("training.epochs=0", "key 'training.epochs' is 0: Input should be greater than or equal to 1"),
        ("training.epochs.x=1", "key 'training.epochs'"),
        ("training.precision=float33", "did you mean 'float32'?"),
        ("training.epochs=[", "the value is no valid YAML"),
        ("training.epochs=!!python/object/apply:os.system [id]", "the value is no valid YAML"),
        ("name=mine", "unknown key 'name'"),
        ("description=mine", "unknown key 'description'"),
        ("method=3", "name an option, too"),
        ("methods.arcface=3", "name an option, too"),
        ("methods.arcfase.margin=3", "'arcfase' is no method of this bench: did you mean 'arcface'?"),
    ],
)
def test_a_mistake_is_told_in_one_line(text: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        overridden_suite("synth", [text])
    assert told in str(caught.value)
    assert str(caught.value).startswith("--set")
    assert "\n" not in str(caught.value)


def test_it_is_in_the_runs_configuration_and_so_in_its_hash(tmp_path: Path, faces: Path) -> None:
    def cell(*overrides: str) -> Any:
        request = Request(
            suite=str(write_suite(tmp_path)),
            overrides=overrides,
            noise=("clean",),
            methods=("arcface",),
            data=faces,
            results=tmp_path / "results",
        )
        (planned,) = plan(request, silent)
        return planned

    plain, same, other = cell(), cell("training.epochs=3"), cell("training.epochs=2", "method.margin=0.3")
    assert same.record.hash == plain.record.hash  # 3 is what the suite says: the same run
    assert other.record.hash != plain.record.hash
    assert other.folder != plain.folder
    assert other.config.training.epochs == 2
    assert other.config.method.options["margin"] == 0.3
    assert other.record.overrides == ["training.epochs=2", "method.margin=0.3"]
    with pytest.raises(UserError, match="unknown key 'margn': did you mean 'margin'"):
        cell("method.margn=0.3")
    with pytest.raises(UserError, match="no method has an option 'scal': did you mean 'scale'"):
        cell("head.scal=3")
