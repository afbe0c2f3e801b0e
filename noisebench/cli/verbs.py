"""Groups of verbs that are loaded when they are asked for, and how the help of a verb looks."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from noisebench.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter

LOOKS: dict[str, Any] = {"rich_markup_mode": None, "pretty_exceptions_enable": False}
"""What every `typer.Typer` here is made with: plain text, and no tracebacks of its own."""

_EXAMPLE = "Example: "


class Verb(TyperCommand):
    """A verb: what its docstring ends with, ``Example: noisebench ...``, is one line at the end of its help."""

    def __init__(self, name: str | None, *, help: str | None = None, **attributes: Any) -> None:  # noqa: A002 - typer's
        text, _, example = inspect.cleandoc(help or "").partition(_EXAMPLE)
        if example:
            attributes["epilog"] = f"\b\n{_EXAMPLE}{_without_full_stop(' '.join(example.split()))}"  # \b: as it is
        super().__init__(name, help=text, **attributes)


class Verbs(TyperGroup):
    """A group whose verbs are imported by name, so that a help, a completion and a mistake come at once.

    Attributes:
        sections: What the verbs are, by the title they stand under in the help: where each is, as ``module:function``
            or, for a group of further ones, ``module:app``.
    """

    sections: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    def list_commands(self, ctx: Context) -> list[str]:
        """The names of all verbs."""
        return [verb for verbs in self.sections.values() for verb in verbs]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """A verb, ready to run; None where there is none of that name."""
        places = {verb: place for verbs in self.sections.values() for verb, place in verbs.items()}
        if cmd_name not in places:
            return None
        found = _find(places[cmd_name])
        if not isinstance(found, typer.Typer):
            single = typer.Typer(add_completion=False, **LOOKS)
            single.command(cmd_name, cls=Verb)(found)
            found = single
        command = get_command(found)
        command.name = cmd_name
        return command

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Without any argument, the help is what is wanted."""
        return super().parse_args(ctx, args or ([] if ctx.resilient_parsing else ["--help"]))

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """The verb that is named.

        Raises:
            UserError: There is none of that name; the nearest is given.
        """
        verbs = self.list_commands(ctx)
        if args[0] not in verbs and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise UserError(f"unknown command '{ctx.command_path} {args[0]}': {did_you_mean(args[0], verbs)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """All verbs with a sentence on each, section by section."""
        width = max(map(len, self.list_commands(ctx)))
        for title, verbs in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([(f"{verb:<{width}}", _summary(_find(place))) for verb, place in verbs.items()])


def _find(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _summary(verb: Any) -> str:
    """The first sentence of its help."""
    text = (verb.info.help if isinstance(verb, typer.Typer) else inspect.getdoc(verb)) or ""
    sentence = re.split(r"(?<=\.)\s", text.partition(_EXAMPLE)[0].strip(), maxsplit=1)[0]
    return _without_full_stop(" ".join(sentence.split()))


def _without_full_stop(text: str) -> str:
    return text if text.endswith("...") else text.removesuffix(".")
