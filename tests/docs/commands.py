"""Every command of the documentation: all that a reader might type, with the page and line it stands on."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = ["README.md", *sorted(f"docs/{page.name}" for page in (REPOSITORY / "docs").glob("*.md"))]
LANGUAGES = {"", "python", "sh", "text", "toml", "yaml"}
PROGRAMS = ("noisebench", "make", "python", "pip", "git", "cd", "pre-commit", ".")
"""What a line of a block without a language, or of text, begins with, if it is a command."""


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        language: What stands behind its fence; empty for an indented block.
        line: Its first line, from 1.
        text: What it says.
    """

    language: str
    line: int
    text: str


@dataclass(frozen=True)
class Command:
    """A command as it is written.

    Attributes:
        page: Where it stands.
        line: The block's first line there.
        language: The block's.
        text: All of it, its comment too.
    """

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"

    @property
    def _split(self) -> list[str]:
        return shlex.split(self.text, comments=True)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that are set before it."""
        return dict(word.split("=", 1) for word in self._split[: self._num_variables])

    @property
    def words(self) -> list[str]:
        """Program and arguments, without the file that its output goes to."""
        return list(itertools.takewhile(lambda word: word != ">", self._split[self._num_variables :]))

    @property
    def exit_code(self) -> int:
        """What its comment says it leaves with."""
        said = re.search(r"#.*exit code (\d)", self.text)
        return int(said[1]) if said else 0

    @property
    def _num_variables(self) -> int:
        return next(number for number, word in enumerate(self._split) if not re.match(r"[A-Z_]+=", word))


def blocks_of(page: str) -> Iterator[Block]:
    """The blocks of code of a page, in order."""
    for token in MarkdownIt("commonmark").parse((REPOSITORY / page).read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            yield Block(token.info.strip(), token.map[0] + 1, token.content)


def commands_of(page: str) -> Iterator[Command]:
    """The commands of a page, in order: all lines of its sh blocks, and others that begin with a program."""
    for block in blocks_of(page):
        for line in block.text.replace("\\\n", " ").splitlines():
            is_command = block.language == "sh" or (block.language in ("", "text") and line.split(" ")[0] in PROGRAMS)
            if is_command and shlex.split(line, comments=True):
                yield Command(page, block.line, block.language, line.strip())
