"""What a check finds, and what it is shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

GIB = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that a check looked at.

    Attributes:
        what: Of what it is.
        level: "ok"; "warn" for what will be slow, or stop some command; "fail" for what will stop a bench.
        found: What there is.
        meaning: What that means and, unless it is ok, what to do, in one line.
    """

    what: str
    level: Literal["ok", "warn", "fail"]
    found: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the checks look at.

    Attributes:
        results: The results folder that a bench would write to.
        data: A data set to read, or None.
        root: The folder below which ``proc`` and ``sys`` are.
        environ: Environment variables.
    """

    results: Path = Path("results")
    data: Path | None = None
    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def kernel_file(self, *parts: str) -> str:
        """What a file of the kernel says; empty where there is none."""
        try:
            return self.root.joinpath(*parts).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def gib(num_bytes: float) -> str:
    """A number of bytes, as read by people."""
    return f"{num_bytes / GIB:,.1f} GiB"
