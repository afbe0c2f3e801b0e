"""Methods are found by name, options are checked, recipes resolved."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from noisebench import methods
from noisebench.errors import FileError, UserError
from noisebench.heads.head import Head
from noisebench.methods.recipe import load_method_recipe, resolve_method


def test_names_are_the_files() -> None:
    folder = Path(methods.__file__).parent
    files = {file.stem for file in folder.glob("[!_]*.py")} - {"recipe"}
    assert files <= set(methods.names())
    assert {"softmax", "cosface", "arcface", "curricularface", "boundaryf1"} <= set(methods.names())


def test_names_need_no_torch() -> None:
    program = "import sys; from noisebench import methods; methods.names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_unknown_method_names_the_nearest() -> None:
    for ask in (methods.find, methods.source_file, lambda name: methods.create(name, num_classes=2, embedding_size=2)):
        with pytest.raises(UserError, match="unknown method 'arcfase': did you mean 'arcface'"):
            ask("arcfase")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margn": 0.3}, "unknown key 'margn': did you mean 'margin'"),
        ({"margin": 4}, "'margin' is 4: .*less than 3.14"),
        ({"margin": -0.1}, "'margin' is -0.1"),
        ({"margin": float("nan")}, "'margin' is nan"),
        ({"scale": 0}, "'scale' is 0: .*greater than 0"),
        ({"scale": float("inf")}, "'scale' is inf"),
        ({"variant": "insightfase"}, "'variant' is 'insightfase': .*'insightface'"),
        ({"variant": "insightface", "easy_margin": True}, "easy_margin is true, but variant 'insightface'"),
    ],
)
def test_faulty_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"ArcFace: .*{message}"):
        methods.create("arcface", num_classes=3, embedding_size=2, **options)
    with pytest.raises(UserError, match=message):
        methods.find("arcface").resolve(options)


@pytest.mark.parametrize("sizes", [{"num_classes": 1, "embedding_size": 2}, {"num_classes": 2, "embedding_size": 0}])
def test_too_small(sizes: dict[str, int]) -> None:
    with pytest.raises(UserError, match=r"is [01]: "):
        methods.create("softmax", **sizes)


def test_resolve_fills_defaults_in() -> None:
    resolved = methods.find("arcface").resolve({"margin": 0.3})
    assert resolved.keys() == methods.find("arcface").Options.model_fields.keys()
    assert {"scale": 64.0, "margin": 0.3, "easy_margin": False, "variant": "paper"}.items() <= resolved.items()


def test_a_dropped_file_is_a_method(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "dropped.py").write_text(
        "from noisebench.heads.margin_softmax import MarginSoftmax\nclass Dropped(MarginSoftmax):\n    pass\n"
    )
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    assert isinstance(methods.create("dropped", num_classes=2, embedding_size=2), Head)
    assert methods.source_file("dropped") == tmp_path / "dropped.py"


@pytest.fixture
def recipe_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "recipes" / "methods"
    folder.mkdir(parents=True)
    return folder


def test_recipe_gives_a_setting_a_name(recipe_folder: Path) -> None:
    (recipe_folder / "arcface_m03.yaml").write_text("method: arcface\noptions: {margin: 0.3}\n")
    method, options = resolve_method("arcface_m03", common={"scale": 32, "margin": 0.1}, own={"easy_margin": True})
    assert (method, options["scale"], options["margin"], options["easy_margin"]) == ("arcface", 32.0, 0.3, True)


def test_common_options_go_to_methods_that_have_them() -> None:
    expected = methods.find("softmax").resolve({"scale": 16})
    assert resolve_method("softmax", common={"margin": 0.3, "scale": 16}, own={}) == ("softmax", expected)
    with pytest.raises(UserError, match="no method has an option 'scal': did you mean 'scale'"):
        resolve_method("softmax", common={"scal": 16}, own={})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mine", "method: arcfase", "'method' is 'arcfase': did you mean 'arcface'"),
        ("mine", "method: arcface\noptions: {margn: 1}", "unknown key 'margn'"),
        ("mine", "method: arcface\noption: {}", "unknown key 'option'"),
        ("arcface", "method: cosface", "called like method 'arcface'"),
    ],
)
def test_faulty_recipe(recipe_folder: Path, name: str, content: str, message: str) -> None:
    (recipe_folder / f"{name}.yaml").write_text(content)
    with pytest.raises(FileError, match=message):
        load_method_recipe(name)


def test_every_method_can_be_named_without_a_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noisebench.methods.recipe.recipe_names", lambda kind: [])
    assert load_method_recipe("arcface").method == "arcface"
    with pytest.raises(UserError, match="unknown method 'arcfase': did you mean 'arcface'"):
        load_method_recipe("arcfase")
