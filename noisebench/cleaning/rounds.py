"""Cleaning in rounds: train, judge, drop or relabel, and train again on what remains, from scratch.

A folder of rounds holds ``round1/manifest.parquet``, ``round1/manifest.decisions.parquet``, ``round2/...`` and, when it
is complete, ``manifest.parquet`` (what remains at last) and ``manifest.decisions.parquet`` (all decisions, on the rows
of the first manifest). A round that is there is not judged again, and a run that is finished is not trained again: so a
call that was stopped goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from noisebench.bench.request import Request
from noisebench.bench.start import start
from noisebench.bench.store import Run
from noisebench.bench.suite import load_suite
from noisebench.bench.where import Where
from noisebench.cleaning.clean_run import Cleaning, check_rule, clean_run, cleaned_before
from noisebench.cleaning.quality import Quality
from noisebench.cleaning.rules import Rule
from noisebench.errors import FileError
from noisebench.exit_codes import ExitCode
from noisebench.methods.recipe import resolve_method
from noisebench.noise.manifest import Manifest
from noisebench.noise.recipe import load_recipe

MANIFEST_NAME = "manifest.parquet"


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How often to clean.

    Attributes:
        most: So many rounds at most.
        stop_below: No further round once one has changed a smaller share of the images than this.
    """

    most: int = 3
    stop_below: float = 0.001


def clean_in_rounds(
    request: Request, where: Where, rule: Rule, rounds: Rounds, out: Path, say: Callable[[str], None]
) -> tuple[Cleaning | None, ExitCode]:
    """Clean a data set round by round, and write the folder ``out``.

    Args:
        request: The run of a round: one noise, one method, one seed. Later rounds have the noise that is left.
        where: Where to train.
        rule: What an image's label is held to be wrong by.
        rounds: How often.
        out: The folder of the rounds, new or of an earlier call that was stopped.
        say: Is told what happens, a line at a time.

    Returns:
        All rounds as one cleaning of the first manifest and DONE; or None and what the training ended with.

    Raises:
        UserError: Something asked for is at fault, or ``out`` holds other rounds.
    """
    _refuse_early(request, rule, rounds, out)
    total: Cleaning | None = None
    for number in range(1, rounds.most + 1):
        say(f"round {number} of at most {rounds.most}")
        (cell,), outcome = start(request, where, say)
        record = cell.finished()
        if outcome != ExitCode.DONE or record is None:
            return None, outcome
        path = out / f"round{number}" / MANIFEST_NAME
        cleaning = _round(Run(cell.folder, record), rule, path)
        say(str(Quality.of(cleaning.before, cleaning.decisions)))
        total = cleaning if total is None else _both(total, cleaning)
        request = replace(request, noise=(str(path),))
        if cleaning.share_changed < rounds.stop_below:
            say(f"stopped: fewer than {100 * rounds.stop_below:g} % of the images changed")
            break
    assert total is not None, "there is at least one round"
    total.write(out / MANIFEST_NAME)
    return total, ExitCode.DONE


def _refuse_early(request: Request, rule: Rule, rounds: Rounds, out: Path) -> None:
    """Refuse before anything is trained what would be refused after it."""
    if out.exists() and not out.is_dir():
        raise FileError(out, "is a file", "in rounds, --out is a folder")
    noise = request.noise[0]
    recipe = Manifest.read(Path(noise)).origin.recipe if noise.endswith(".parquet") else load_recipe(noise)
    recipe.check_is_by_sample()
    suite = load_suite(request.suite)
    for name in request.methods or ():
        method, options = resolve_method(name, common=suite.head, own=suite.methods.get(name, {}))
        rule.check_method(method, options)
    for number in range(1, rounds.most + 1):
        path = out / f"round{number}" / MANIFEST_NAME
        if path.is_file():
            check_rule(Manifest.read(path), rule, path)


def _round(run: Run, rule: Rule, path: Path) -> Cleaning:
    """The cleaning of a round: as an earlier call left it, or made now."""
    if path.is_file():
        return cleaned_before(run, rule, path)
    cleaning = clean_run(run, rule)
    cleaning.write(path)
    return cleaning


def _both(former: Cleaning, later: Cleaning) -> Cleaning:
    """Two rounds as one."""
    decisions = former.decisions.then(later.decisions, former.before.label)
    return Cleaning(former.before, decisions, later.after)
