"""What installed packages add: found, loaded when used, fingerprinted; and harmless where it is at fault."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from datasets_tools.audit import audit
from datasets_tools.make_noise import make_manifest
from noisebench import backbones, methods, plugins
from noisebench.bench import launchers, provenance
from noisebench.bench.cell import RunConfig
from noisebench.errors import FileError, UserError
from noisebench.evaluation import protocols as test_sets
from noisebench.methods.arcface import ArcFace
from noisebench.methods.recipe import resolve_method
from noisebench.noise import protocols as noises
from noisebench.noise.manifest import Manifest
from noisebench.noise.recipe import load_recipe
from tests.fabricated import fabricated_set

Install = Callable[..., Path]

GOOD = """
from noisebench.heads.margin_softmax import MarginSoftmax
class Good(MarginSoftmax):
    '''One line.

    More.'''
"""
NOISE = """
import numpy as np
from noisebench.noise.protocols import Noise, NoiseProtocol
class Last(NoiseProtocol):
    '''The last images.'''
    count: int = 2
    wrong_kind: int = 1
    def noise(self, keys, labels, num_classes, seed):
        kind, label = np.zeros(len(keys), dtype=np.int8), labels.copy()
        kind[-self.count:], label[-self.count:] = self.wrong_kind, (labels[-self.count:] + 1) % num_classes
        return Noise(kind, label)
class Wide(Last):
    def noise(self, *of):
        return Noise(*(column.astype(np.int64) for column in super().noise(*of)))
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Lay a module and its entry points down as pip does, in a folder that is looked in."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = set(sys.modules)

    def lay_down(package: str, group: str, points: dict[str, str], source: str = "", version: str = "1.0") -> Path:
        file = tmp_path / f"{package.replace('-', '_')}.py"
        file.write_text(source)
        about = tmp_path / f"{package}-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        lines = "".join(f"{name} = {value}\n" for name, value in points.items())
        (about / "entry_points.txt").write_text(f"[{group}]\n{lines}")
        return file

    yield lay_down
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_a_method_of_a_package_is_one_like_any_other(install: Install) -> None:
    file = install("good-pkg", "noisebench.methods", {"good": "good_pkg:Good"}, GOOD)
    assert "good" in methods.names()
    assert "good_pkg" not in sys.modules, "nothing is imported for a name"
    assert methods.create("good", num_classes=3, embedding_size=2).num_classes == 3
    assert methods.descriptions()["good"] == "One line."
    assert methods.source_file("good") == file
    assert resolve_method("good", common={"scale": 3}, own={})[1]["scale"] == 3
    with pytest.raises(UserError, match="unknown method 'goood': did you mean 'good'"):
        methods.find("goood")


def test_names_and_their_completion_import_no_package(install: Install, tmp_path: Path) -> None:
    install("loud", "noisebench.methods", {"loud": "loud:X"}, "raise SystemExit('imported')")
    program = "from noisebench import methods; print('loud' in methods.names())"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"}
    )
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize(
    ("source", "value", "told"),
    [
        ("import no_such_module", "broken:X", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("", "broken:X", "AttributeError: module 'broken' has no attribute 'X'"),
        ("def f(:", "broken:X", "SyntaxError: invalid syntax"),
        ("raise SystemExit(3)", "broken:X", "SystemExit: 3"),
        ("raise ValueError('two\\n lines')", "broken:X", "ValueError: two lines"),
        ("X = 3", "broken:X", "is 3"),
        ("class X: pass", "broken:X", "is <class 'broken.X'>"),
        ("", "gone:X", "ModuleNotFoundError: No module named 'gone'"),
    ],
)
def test_a_broken_package_is_one_line_and_harms_nobody_else(
    install: Install, source: str, value: str, told: str
) -> None:
    install("broken", "noisebench.methods", {"bad": value}, source)
    with pytest.raises(UserError) as caught:
        methods.find("bad")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"method 'bad' of the installed package broken 1.0 cannot be used: {value}: {told}")
    assert "expected a subclass of noisebench.heads.head.Head (mend or uninstall the package)" in message
    assert methods.descriptions()["bad"] == message
    assert "arcface" in methods.descriptions()
    assert "bad" not in methods.usable()
    assert methods.find("arcface") is ArcFace
    with pytest.raises(UserError, match="no method has an option 'scal': did you mean 'scale'"):
        resolve_method("arcface", common={"scal": 3}, own={})


@pytest.mark.parametrize(("name", "why"), [("arcface", "the name is noisebench's own"), ("../up", "letters, digits")])
def test_a_name_it_cannot_have_is_left_out(install: Install, name: str, why: str) -> None:
    install("thief", "noisebench.methods", {name: "thief:Good"}, GOOD)
    with pytest.warns(UserWarning, match=f"method '{name}' of the installed package thief 1.0 is left out: .*{why}"):
        assert methods.names().count(name) == (name == "arcface")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert methods.find("arcface") is ArcFace
        assert "thief" not in sys.modules
        assert methods.PLUGINS.code(name) is None


def test_a_name_that_two_packages_offer_is_refused(install: Install) -> None:
    install("one", "noisebench.methods", {"good": "one:Good", "mine": "one:Good"}, GOOD)
    install("two", "noisebench.methods", {"good": "two:Good"}, GOOD)
    with pytest.raises(UserError, match=r"offered by several packages, one 1\.0 and two 1\.0: uninstall all but one"):
        methods.find("good")
    assert methods.names().count("good") == 1
    assert methods.find("mine").__module__ == "one"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("net = 3", "is 3; expected a function that takes embedding_size and image_size"),
        ("def net(size): pass", "expected a function that takes embedding_size and image_size"),
        ("def net(embedding_size, image_size): return 7", "is 7: expected a torch.nn.Module"),
    ],
)
def test_a_backbone_that_is_none(install: Install, source: str, told: str) -> None:
    install("nets", "noisebench.backbones", {"net": "nets:net"}, source)
    assert "net" in backbones.names()
    assert "small_ir" in backbones.descriptions()
    with pytest.raises(UserError, match=told):
        backbones.create("net")


def test_a_class_that_leaves_methods_open_is_none_of_its_kind(install: Install) -> None:
    source = "from noisebench.evaluation.protocols import Protocol\nclass X(Protocol): pass\n"
    install("sets", "noisebench.testsets", {"mine": "sets:X"}, source)
    with pytest.raises(UserError, match=r"expected a subclass of noisebench\.evaluation\.protocols\.Protocol"):
        test_sets.find("mine")
    assert "cannot be used" in test_sets.descriptions()["mine"]


def test_a_package_is_asked_about_a_test_set_only_where_noisebench_does_not_know_it(
    install: Install, tmp_path: Path
) -> None:
    source = """
from noisebench.evaluation.protocols import Protocol
class Greedy(Protocol):
    @classmethod
    def recognises(cls, path): return True
    def evaluate(self, path, embedder): raise NotImplementedError
"""
    install("greedy", "noisebench.testsets", {"a_greedy": "greedy:Greedy", "a_bad": "greedy:gone"}, source)
    for name in ("pairs.bin", "pairs.unknown"):
        (tmp_path / name).touch()
    assert test_sets.recognise(tmp_path / "pairs.bin") == "lfw"
    assert "greedy" not in sys.modules
    assert test_sets.recognise(tmp_path / "pairs.unknown") == "a_greedy"
    assert test_sets.create("a_greedy").name == "a_greedy"


def test_the_options_of_a_launcher(install: Install) -> None:
    source = """
from noisebench.bench.launchers import Launcher
class Queue(Launcher):
    queue: str = "short"
    def launch(self, cells, layout, say): return 0
"""
    install("queues", "noisebench.launchers", {"pbs": "queues:Queue"}, source)
    assert launchers.names() == ["local", "pbs", "slurm"]
    assert launchers.create("pbs:queue=long").model_dump() == {"queue": "long"}
    with pytest.raises(UserError, match="--launcher 'pbs:quee=long': unknown key 'quee': did you mean 'queue'"):
        launchers.create("pbs:quee=long")
    with pytest.raises(UserError, match="unknown launcher 'psb': did you mean 'pbs'"):
        launchers.create("psb")


def recipe(folder: Path, content: str, name: str = "mine") -> str:
    (folder / f"{name}.yaml").write_text(content)
    return str(folder / f"{name}.yaml")


def test_noise_of_a_package_becomes_a_manifest_that_says_whose_it_is(install: Install, tmp_path: Path) -> None:
    file = install("noises", "noisebench.noise", {"last": "noises:Last"}, NOISE)
    loaded = load_recipe(recipe(tmp_path, "protocol: {name: last, options: {count: 3}}"))
    base = fabricated_set()
    manifest = make_manifest(loaded, base, None, seed=0)
    assert np.flatnonzero(manifest.label != base.labels).tolist() == [len(base.keys) - row for row in (3, 2, 1)]
    assert manifest.origin.asked == manifest.metadata().realised
    code = manifest.origin.plugin
    assert code is not None
    assert (code.kind, code.name, code.package, code.version) == ("noise protocol", "last", "noises", "1.0")
    manifest.write(tmp_path / "made.parquet")
    assert audit(manifest, base).passed

    file.write_text(NOISE.replace("+ 1) %", "+ 2) %"))  # another version makes other labels
    sys.modules.pop("noises")
    assert "column 'label' differs in 3 rows" in str(audit(manifest, base))

    (file.parent / "noises-1.0.dist-info" / "entry_points.txt").write_text("")  # and an audit does without any
    read = Manifest.read(tmp_path / "made.parquet")
    report = audit(read, base)
    assert report.passed
    assert report.not_compared == ("what the noise protocol 'last' makes, without its package: install noises 1.0",)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("protocol: {name: lsat}", "key 'protocol': unknown noise protocol 'lsat': did you mean 'last'"),
        ("protocol: {name: last, options: {cuont: 1}}", "key 'protocol': .*unknown key 'cuont': did you mean 'count'"),
        ("protocol: {name: last}\nclosed: {rate: 0.1}", "key 'closed' does not apply to noise by a protocol"),
        (
            "protocol: {name: last}\nper_batch: {closed: 0.1, open: 0}",
            "key 'protocol' does not apply to noise by batch",
        ),
    ],
)
def test_a_recipe_that_misuses_a_protocol(install: Install, tmp_path: Path, content: str, told: str) -> None:
    install("noises", "noisebench.noise", {"last": "noises:Last"}, NOISE)
    with pytest.raises(FileError, match=told):
        load_recipe(recipe(tmp_path, content))


def test_a_name_that_says_rates_is_none_for_a_protocol(install: Install, tmp_path: Path) -> None:
    install("noises", "noisebench.noise", {"last": "noises:Last"}, NOISE)
    with pytest.raises(FileError, match="the name 'clean' says rates, which a protocol has none of"):
        load_recipe(recipe(tmp_path, "protocol: {name: last}", "clean"))


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        ("{name: last, options: {wrong_kind: 0}}", "'last' contradicts itself: .*a clean image bears a wrong label"),
        ("{name: last, options: {wrong_kind: 7}}", "'last' contradicts itself: .*kind is none of clean, closed, open"),
        ("{name: wide}", r"'wide' gives kind as int64 of shape \[\d+\]: expected int8"),
    ],
)
def test_noise_that_no_manifest_can_say(install: Install, tmp_path: Path, protocol: str, told: str) -> None:
    install("noises", "noisebench.noise", {"last": "noises:Last", "wide": "noises:Wide"}, NOISE)
    loaded = load_recipe(recipe(tmp_path, f"protocol: {protocol}"))
    with pytest.raises(UserError, match=told):
        make_manifest(loaded, fabricated_set(), None, seed=0)
    assert noises.descriptions()["last"] == "The last images."


def test_the_code_of_a_package_is_part_of_what_a_run_is_made_of(install: Install) -> None:
    net = "from torch import nn\ndef net(embedding_size, image_size): return nn.Flatten()\n"
    file = install("all-of-it", "noisebench.methods", {"good": "all_of_it:Good"}, GOOD + net)
    install("net", "noisebench.backbones", {"net": "all_of_it:net"})
    config = RunConfig.model_validate(
        {
            "method": {"name": "good", "options": {}},
            "backbone": {"name": "net"},
            "training": {"epochs": 1, "batch_size": 1},
        }
    )
    plain = provenance.code()
    before = provenance.code(provenance.plugins_of(config, []))
    assert plain.plugins == ()
    assert [(one.kind, one.name, one.package) for one in before.plugins] == [
        ("method", "good", "all-of-it"), ("backbone", "net", "net"),
    ]  # fmt: skip
    assert before.sha256 != plain.sha256
    assert provenance.method_sha256("good") == before.plugins[0].sha256
    file.write_text(file.read_text() + "# changed\n")
    after = provenance.code(provenance.plugins_of(config, []))
    assert after.sha256 != before.sha256
    assert provenance.method_sha256("good") != before.plugins[0].sha256
    own = RunConfig.model_validate(config.model_dump() | {"backbone": {"name": "small_ir"}})
    alone = provenance.code(provenance.plugins_of(own, []))
    assert (len(alone.plugins), alone.sha256) == (1, plain.sha256), "a method stands beside others of the same code"


def test_all_files_of_a_package_count(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "helper.py").write_text("x = 1")
    before = plugins.sources_sha256(tmp_path)
    (tmp_path / "inner" / "notes.txt").write_text("no code")
    assert plugins.sources_sha256(tmp_path) == before
    (tmp_path / "inner" / "helper.py").write_text("x = 2")
    assert plugins.sources_sha256(tmp_path) != before
    assert plugins.sources_sha256(tmp_path, leave_out=("inner",)) == plugins.sources_sha256(tmp_path / "nowhere")


def test_of_a_namespace_only_the_own_module_counts(install: Install, tmp_path: Path) -> None:
    install("shared", "noisebench.methods", {"good": "shared_space.mine:Good"})
    space = tmp_path / "shared_space"
    space.mkdir()
    (space / "mine.py").write_text(GOOD)
    before = methods.PLUGINS.code("good")
    (space / "of_another.py").write_text("x = 1")
    assert before is not None
    assert methods.PLUGINS.code("good") == before
    (space / "mine.py").write_text(GOOD + "# changed\n")
    assert methods.PLUGINS.code("good") != before
