"""Which noisebench made a run, and on which machine."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

import noisebench
from noisebench.bench.record import Code, Environment

PACKAGE = Path(noisebench.__file__).parent
WITHOUT_EFFECT = ("analysis", "cli", "methods")
"""Rooms that do not shape a run: two read and print results, and a run's method is hashed on its own."""


@cache
def code() -> Code:
    """The noisebench at hand: version, hash of the sources that shape a run, and the commit of a checkout."""
    digest = hashlib.sha256()
    for source in sorted(PACKAGE.rglob("*.py")):
        place = source.relative_to(PACKAGE)
        if place.parts[0] not in WITHOUT_EFFECT:
            digest.update(f"{place.as_posix()}\0".encode() + source.read_bytes())
    commit = _git("rev-parse", "HEAD")
    return Code(
        version=noisebench.__version__,
        sha256=digest.hexdigest(),
        git_commit=commit,
        git_dirty=bool(_git("status", "--porcelain")) if commit else None,
    )


def environment(*, device: str, world_size: int, threads: int) -> Environment:
    """The machine and the libraries a run uses."""
    return Environment(
        python=platform.python_version(),
        torch=version("torch"),
        numpy=version("numpy"),
        platform=f"{platform.system()} {platform.machine()}",
        device=device,
        world_size=world_size,
        threads=threads,
    )


def _git(*arguments: str) -> str | None:
    """Ask git about the checkout the package lies in; None if it lies in none."""
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
