"""What the shell offers on TAB: names from folders and files, without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def complete(kind: str, *, several: bool = False) -> Callable[[str], list[str]]:
    """What completes names of a kind of `noisebench.catalogue`.

    Args:
        kind: "methods", "noise", "suites", "backbones", ...
        several: Whether it is a list with commas, of which the last name is completed and none is offered twice.
    """

    def offer(incomplete: str) -> list[str]:
        from noisebench.catalogue import names

        before, comma, last = incomplete.rpartition(",") if several else ("", "", incomplete)
        taken = before.split(",")
        return [f"{before}{comma}{name}" for name in names(kind) if name.startswith(last) and name not in taken]

    return offer


def complete_list(incomplete: str) -> list[str]:
    """What 'noisebench list' can list."""
    from noisebench.catalogue import LISTS

    return [kind for kind in LISTS if kind.startswith(incomplete)]


def complete_run(incomplete: str) -> list[str]:
    """The folders of runs under ``results``; other folders the shell completes by itself."""
    records = Path("results", "runs").glob("*/*/*/*/result.json")
    return sorted(folder for record in records if (folder := str(record.parent)).startswith(incomplete))


def complete_compared(incomplete: str) -> list[str]:
    """Methods, and the folders of runs."""
    return complete("methods")(incomplete) + complete_run(incomplete)


def complete_shown(incomplete: str) -> list[str]:
    """Suites, and the folders of runs."""
    return complete("suites")(incomplete) + complete_run(incomplete)
