"""Launchers of installed packages: another way to start a bench's runs than on this host or by Slurm.

A package offers a subclass of `Launcher` by an entry point of the group ``noisebench.launchers``;
``noisebench bench --launcher NAME`` or ``NAME:KEY=VALUE,...`` uses it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from noisebench.config import Settings, explain
from noisebench.errors import UserError
from noisebench.plugins import Group, is_subclass

if TYPE_CHECKING:  # so that names are known quickly
    from noisebench.bench.cell import Cell
    from noisebench.bench.layout import Layout
    from noisebench.exit_codes import ExitCode

OWN = {
    "local": "Processes on this host, and on those that meet it.",
    "slurm": "A Slurm job a run.",
}
"""The launchers of noisebench's own, which `noisebench.bench.start` runs."""


class Launcher(Settings, ABC):
    """How a bench's runs are started; its fields are options.

    It only starts what `noisebench.bench.run.run_cell` does: lock the run's folder, train and test in processes of its
    own, bring the record up to date. So it has no part in the results, nor in what a run is named by.
    """

    @abstractmethod
    def launch(self, cells: Sequence[Cell], layout: Layout, say: Callable[[str], None]) -> ExitCode:
        """Start every run that is not done; each has a record by now that says it is planned.

        Args:
            cells: All runs of the bench; ``cell.finished()`` tells which are done.
            layout: Processes of each, and their threads.
            say: Is told what happens, a line at a time.

        Returns:
            DONE, FAILED if a run failed, or STOPPED if one was stopped or is not done yet.
        """


def names() -> list[str]:
    """The names of all launchers, sorted."""
    return sorted({*OWN, *PLUGINS.names()})


def descriptions() -> dict[str, str]:
    """What each launcher is, in one line, by its name."""
    return dict(sorted((OWN | {name: PLUGINS.describe(name) for name in PLUGINS.names()}).items()))


def create(text: str) -> Launcher:
    """The launcher of an installed package, with its options: ``NAME`` or ``NAME:KEY=VALUE,...``.

    Raises:
        UserError: The launcher or an option is unknown (the nearest is named), or a value is outside its range.
    """
    name, _, options = text.partition(":")
    found = PLUGINS.load(name)
    pairs = [option.partition("=") for option in options.split(",") if option]
    try:
        return found.model_validate({key: value for key, _, value in pairs})
    except ValidationError as error:
        raise UserError(f"--launcher '{text}': {explain(error, found)}") from error


PLUGINS: Group[type[Launcher]] = Group(
    kind="launcher",
    name="noisebench.launchers",
    expected="a subclass of noisebench.bench.launchers.Launcher",
    fits=lambda found: is_subclass(found, Launcher),
    own_names=OWN.keys,
)
"""The launchers of installed packages."""
