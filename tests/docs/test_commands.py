"""Every command of README.md and docs/*.md is typed here, is typed by a test of its own page, or is in NOT_RUN."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import itertools
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from noisebench.bench import estimate, run, slurm, start
from noisebench.bench.cell import Cell
from noisebench.bench.plan import plan
from noisebench.bench.request import Request
from noisebench.bench.where import Where
from noisebench.cli import app
from noisebench.exit_codes import ExitCode
from tests.docs.commands import LANGUAGES, PAGES, REPOSITORY, Command, blocks_of, commands_of
from tests.docs.scene import build, save_blank, train_here, typed

TYPED_BY_ITS_OWN_TEST = {
    "docs/data-tools.md": "tests/datasets_tools/test_data_tools_page.py",
    "docs/evaluation-protocols.md": "tests/evaluation/test_evaluation_protocols_page.py",
    "docs/extending.md": "tests/examples/test_package.py",
}
"""Pages whose sh blocks another test types."""


def _is_a_target(command: Command) -> None:
    assert _make(command).returncode == 0


def _can_be_installed(command: Command) -> None:
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    extras = re.findall(r"noisebench\[(\w+)\]", command.text)
    files = re.findall(r"(?:-c |install (?=\./))(\S+)", command.text)
    assert all(setup.has_option("options.extras_require", extra) for extra in extras)
    assert all((REPOSITORY / name).exists() for name in files)


def _is_an_example(command: Command) -> None:
    source = (REPOSITORY / command.words[1]).read_text(encoding="utf-8")
    assert all(f'"{option}"' in source for option in re.findall(r"--[\w-]+", command.text))


def _is_a_benchmark(command: Command) -> None:
    spec = importlib.util.find_spec(command.words[2])
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    assert all(f'"{option}"' in source for option in re.findall(r"--[\w-]+", command.text))


def _is_there_after_setup(command: Command) -> None:
    assert command.words[1].startswith(".venv/")


def _has_these_options(command: Command) -> None:
    shown = CliRunner().invoke(app, [*itertools.takewhile(str.isalpha, command.words[1:]), "--help"])
    assert shown.exit_code == 0
    assert [option for option in re.findall(r"--[\w-]+", command.text) if option not in shown.output] == []


def _completes(command: Command) -> None:
    told = CliRunner().invoke(app, ["--help"]).output
    assert command.text.split()[1] in told, str(command)


NOT_RUN: list[tuple[str, str, Callable[[Command], None]]] = [
    (r"make (setup|mxnet-env)", "makes an environment, from a package index", _is_a_target),
    (r"make (test|lint|benchmark|docs|reference)", "is what runs this test, or takes minutes or hours", _is_a_target),
    (r"pip install ", "needs a package index; that in examples/ is installed by tests/examples", _can_be_installed),
    (r"python examples/", "is run by tests/examples", _is_an_example),
    (r"python -m benchmarks\.", "wants a quiet machine and minutes", _is_a_benchmark),
    (r"noisebench .*\[--", "is a synopsis", _has_these_options),
    (r"noisebench --install-completion", "changes the files of the shell it is typed in", _completes),
    (r"\. \.venv/bin/activate", "is for the reader's shell", _is_there_after_setup),
]
"""Commands that are not run: what they begin with, why, and what is checked all the same."""

ONLY_PLANNED = r"--nnodes|--launcher slurm"
"""Benches that would need several hosts or Slurm: every option is read and every run is planned, and none is started.

Real ones are started by tests/hosts and tests/slurm.
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to type in, with two methods trained on clean labels and on closed30."""
    folder = build(tmp_path_factory.mktemp("scene"))
    with pytest.MonkeyPatch.context() as patch:
        _prepare(patch, folder)
        _type(["bench", "--noise", "clean"], "the scene")
        _type(["bench", "--noise", "closed30", "--seeds", "0,1,2"], "the scene")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_can_be_typed(
    page: str, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in commands_of(page):
        check = next((check for start, _, check in NOT_RUN if re.match(start, command.text)), None)
        if check is not None:
            check(command)
        elif command.language != "sh" or page not in TYPED_BY_ITS_OWN_TEST:
            if not (tmp_path / "data").exists():
                shutil.copytree(scene, tmp_path, dirs_exist_ok=True)
            with monkeypatch.context() as patch:
                _prepare(patch, tmp_path)
                for name, value in command.environment.items():
                    patch.setenv(name, value)
                for words in _of_noisebench(command):
                    _type(typed(words), str(command), command.exit_code)


def test_other_pages_are_typed_by_the_tests_that_are_said_to() -> None:
    for page, test in TYPED_BY_ITS_OWN_TEST.items():
        assert f'{Path(page).name}"' in (REPOSITORY / test).read_text(encoding="utf-8")


def test_what_is_not_run_is_still_in_the_documentation() -> None:
    texts = [command.text for page in PAGES for command in commands_of(page)]
    assert len(texts) > 100
    assert [start for start, _, _ in NOT_RUN if not any(re.match(start, text) for text in texts)] == []
    assert any(re.search(ONLY_PLANNED, text) for text in texts)


def test_no_command_hides_in_a_block_of_another_language() -> None:
    languages = {(page, block.line): block.language for page in PAGES for block in blocks_of(page)}
    assert {place: language for place, language in languages.items() if language not in LANGUAGES} == {}


@pytest.mark.parametrize("page", PAGES)
def test_python_of_a_page_is_python_and_what_it_imports_is_there(page: str) -> None:
    for block in blocks_of(page):
        if block.language == "python":
            nodes = ast.parse(block.text).body
            imports: list[ast.stmt] = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
            exec(compile(ast.Module(imports, []), f"{page}:{block.line}", "exec"), {})


def _prepare(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Stand in the folder; train in this process, and only plan what needs other hosts."""
    patch.chdir(folder)
    patch.setenv("OMP_NUM_THREADS", "1")
    patch.setattr(os, "sched_getaffinity", lambda _: {0})  # one core, so that threads do not wait for each other
    patch.setattr(run, "launch", train_here)
    patch.setattr(estimate, "MOST_STEPS", 3)
    patch.setattr(Figure, "savefig", save_blank)
    whole = start.start

    def start_or_plan(request: Request, where: Where, say: Callable[[str], None]) -> tuple[list[Cell], ExitCode]:
        if where.launcher == "local" and where.layout.hosts == 1:
            return whole(request, where, say)
        where.check()
        slurm.parse_options(where.slurm)
        return plan(request, say), ExitCode.DONE

    patch.setattr(start, "start", start_or_plan)


def _of_noisebench(command: Command) -> list[list[str]]:
    """The arguments of noisebench that a command comes to; those of make are what it would run."""
    program, *words = command.words
    if program == "noisebench":
        return [words]
    assert program == "make", f"{command} is neither run nor in NOT_RUN"
    lines = _make(command).stdout.replace("\\\n", " ").splitlines()
    found = [shlex.split(line) for line in lines if line.startswith(".venv/bin/noisebench")]
    assert found, f"{command} does not come to any command of noisebench, and is not in NOT_RUN"
    return [words for _, *words in found]


def _make(command: Command) -> subprocess.CompletedProcess[str]:
    arguments = ["make", "--dry-run", "--no-print-directory", *command.words[1:]]
    return subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)


def _type(words: list[str], what: str, exit_code: int = 0) -> None:
    arguments = list(itertools.takewhile(lambda word: word != ">", words))
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == exit_code, f"{what}\ntyped: {shlex.join(arguments)}\n{done.output}\n{done.exception!r}"
    for file in words[len(arguments) + 1 :]:
        Path(file).write_text(done.stdout, encoding="utf-8")
