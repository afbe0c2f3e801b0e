"""What a user can get wrong, as one clear line: what, where, what was expected, how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """A mistake its user can mend. The command line prints it as one line and leaves with exit code 2."""


class FileError(UserError):
    """A file from outside is missing, damaged or not what it should be.

    Args:
        path: The file.
        problem: What is wrong, where in the file, and what was expected.
        remedy: What the user can do about it.
    """

    def __init__(self, path: Path | str, problem: str, remedy: str = "") -> None:
        self.path = Path(path)
        self.problem = problem
        self.remedy = remedy
        super().__init__(path, problem, remedy)  # the arguments it is made anew from when a worker process raises it

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" + (f" ({self.remedy})" if self.remedy else "")


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """The end of an "unknown name" sentence: the nearest valid name if there is one, else all of them."""
    names = sorted(choices)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"choose from: {', '.join(names)}" if names else "there are none"
