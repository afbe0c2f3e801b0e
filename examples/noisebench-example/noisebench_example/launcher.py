"""A launcher: how a bench's runs are started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from noisebench.bench.cell import Cell
from noisebench.bench.launch import Children
from noisebench.bench.launchers import Launcher
from noisebench.bench.layout import Layout
from noisebench.bench.lock import RunIsHeld
from noisebench.bench.run import run_cell
from noisebench.exit_codes import ExitCode


class ExampleOrder(Launcher):
    """Example: one run after the other on this host, by seed: a first table is there after each method's first run."""

    by: Literal["seed", "method", "noise"] = "seed"

    def launch(self, cells: Sequence[Cell], layout: Layout, say: Callable[[str], None]) -> ExitCode:
        """Run every cell; one that fails does not stop the others."""
        outcomes = {ExitCode.DONE}
        with Children() as children:
            for cell in sorted(cells, key=lambda cell: getattr(cell.record, self.by)):
                try:
                    attempt = run_cell(cell, layout, children)  # does nothing where the run is done
                except RunIsHeld as held:
                    say(f"{cell.record.noise}: {cell.label}: {held}")
                    outcomes.add(ExitCode.STOPPED)
                    continue
                say(f"{cell.record.noise}: {cell.label}: {attempt}")
                outcomes.add(attempt.outcome)
                if children.stopping:
                    return ExitCode.STOPPED
        return ExitCode.FAILED if ExitCode.FAILED in outcomes else max(outcomes)
