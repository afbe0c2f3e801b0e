"""Which noisebench made a run, with which code of other packages, and on which machine."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path

import noisebench
from noisebench import backbones, methods
from noisebench.bench.cell import RunConfig
from noisebench.bench.record import Code, Environment
from noisebench.evaluation import protocols
from noisebench.evaluation.test_set import parse
from noisebench.files import sha256_of
from noisebench.plugins import PluginCode, sources_sha256

PACKAGE = Path(noisebench.__file__).parent
SOURCES = ("noisebench", "datasets_tools", "recipes")
"""Folders of a checkout in which changes count as such: results may lie beside them."""
WITHOUT_EFFECT = ("analysis", "cleaning", "cli", "doctor", "methods", "report")
"""Rooms that do not shape a run: they read and print results, and a run's method is hashed on its own."""


@cache
def code(plugins: tuple[PluginCode, ...] = ()) -> Code:
    """The noisebench at hand: version, hash of the sources that shape a run, and the commit of a checkout.

    Args:
        plugins: What `plugins_of` finds for the run: its hash covers them, but for the method.
    """
    sources = sources_sha256(PACKAGE, leave_out=WITHOUT_EFFECT)
    shaping = [plugin.sha256 for plugin in plugins if plugin.kind != methods.PLUGINS.kind]
    commit = _git("rev-parse", "HEAD")
    return Code(
        version=noisebench.__version__,
        sha256=hashlib.sha256(" ".join([sources, *shaping]).encode()).hexdigest() if shaping else sources,
        git_commit=commit,
        git_dirty=bool(_git("status", "--porcelain", "--", *SOURCES)) if commit else None,
        plugins=plugins,
    )


def plugins_of(config: RunConfig, test_sets: Iterable[str]) -> tuple[PluginCode, ...]:
    """The code of installed packages that a run uses: its method, backbone and protocols of test sets.

    Its noise is not among them, for that is data: what made it stands in the manifest. Nor is the launcher, which has
    no part in the result.

    Args:
        config: The run's.
        test_sets: As `noisebench.evaluation.test_set` reads them.
    """
    tested_by = sorted({parse(test_set).protocol.name for test_set in test_sets})
    found = [
        methods.PLUGINS.code(config.method.name),
        backbones.PLUGINS.code(config.backbone.name),
        *map(protocols.PLUGINS.code, tested_by),
    ]
    return tuple(plugin for plugin in found if plugin is not None)


def method_sha256(name: str) -> str:
    """SHA-256 of a method's file, or over the sources of its package where it comes with one."""
    plugin = methods.PLUGINS.code(name)
    return sha256_of(methods.source_file(name)) if plugin is None else plugin.sha256


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
