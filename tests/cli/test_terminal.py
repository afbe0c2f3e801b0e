"""Colours and progress bars are for terminals alone."""

from __future__ import annotations

import ast
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

TELL = "import typer; from noisebench.cli.terminal import coloured; typer.echo(coloured('done', 'green'))"


def printed(no_color: str | None, terminal: bool) -> bytes:
    """What a coloured line becomes."""
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    if no_color is not None:
        environment["NO_COLOR"] = no_color
    reader, writer = pty.openpty() if terminal else os.pipe()
    try:
        subprocess.run([sys.executable, "-c", TELL], env=environment, stdout=writer, check=True)
        return os.read(reader, 100).strip()
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize(
    ("no_color", "terminal", "expected"),
    [
        (None, True, b"\x1b[32mdone\x1b[0m"),
        ("", True, b"\x1b[32mdone\x1b[0m"),  # no-color.org: set and not empty
        ("1", True, b"done"),
        (None, False, b"done"),
    ],
)
def test_a_line_is_coloured_on_a_terminal_unless_no_color_is_set(
    no_color: str | None, terminal: bool, expected: bytes
) -> None:
    assert printed(no_color, terminal) == expected


def test_every_progress_bar_is_left_out_where_there_is_no_terminal() -> None:
    bars = list(_bars())
    assert len(bars) > 10
    for place, disable in bars:
        assert disable not in (None, "False"), f"{place}: a bar without disable=None fills logs"


def _bars() -> Iterator[tuple[str, str | None]]:
    """Every bar of tqdm, and when it says to be left out; ``disable=None`` is where stderr is no terminal."""
    for file in sorted([*REPOSITORY.glob("noisebench/**/*.py"), *REPOSITORY.glob("datasets_tools/**/*.py")]):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("tqdm", "trange"):
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                yield f"{Path(file).relative_to(REPOSITORY)}:{node.lineno}", given.get("disable")
