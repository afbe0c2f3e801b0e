"""Every command of the command line, and one run of it in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from noisebench.cli import app


def every_command() -> list[list[str]]:
    """All commands and groups, such as ``["data", "noise"]``; the first, empty one is that of all others."""
    return [words for words, _ in _walk([], get_command(app))]


def verbs() -> list[list[str]]:
    """All commands that do something, none that only has others below it."""
    return [words for words, command in _walk([], get_command(app)) if not hasattr(command, "list_commands")]


def parse(words: list[str]) -> None:
    """Read the words of a command as the command line would, and do nothing.

    Raises:
        typer.TyperException: They are none.
    """
    command: Any = get_command(app)
    context = typer.Context(command)
    while hasattr(command, "list_commands"):
        command, words = command.get_command(context, words[0]), words[1:]
    command.make_context("noisebench", words)


def run(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Type a command in a folder, without a terminal."""
    command = [sys.executable, "-m", "noisebench", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def _walk(words: list[str], command: Any) -> Iterator[tuple[list[str], Any]]:
    yield words, command
    if hasattr(command, "list_commands"):
        context = typer.Context(command)
        for name in command.list_commands(context):
            yield from _walk([*words, name], command.get_command(context, name))
