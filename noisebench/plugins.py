"""What installed packages add to noisebench, by entry points; docs/extending.md says how to write such a package.

Nothing of a package is imported before one of its names is used or described. A package that is at fault is told of in
one line where its name is used, and harms no other name. No package can take a name of noisebench's own.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Collection, Container
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import Field

from noisebench.config import Settings
from noisebench.errors import UserError, did_you_mean
from noisebench.files import sha256_of

T = TypeVar("T")

_NAME = re.compile("[A-Za-z0-9_][A-Za-z0-9_.-]*")  # it becomes part of paths, and of lists with commas


class PluginCode(Settings):
    """Which code a plug-in is, for the record of what it had a hand in."""

    kind: str = Field(description="What it is, such as backbone.")
    name: str = Field(description="Under which it is chosen.")
    package: str = Field(description="The installed package that offers it.")
    version: str = Field(description="Of the package.")
    module: str = Field(description="The module it is in.")
    sha256: str = Field(description="SHA-256 over the Python sources of the module's outermost package.")


@dataclass(frozen=True)
class Group(Generic[T]):
    """The plug-ins of one kind.

    Attributes:
        kind: What one of them is called, such as "backbone".
        name: The group of their entry points, such as "noisebench.backbones".
        expected: What an entry point has to name, in words.
        fits: Whether something is that.
        own_names: The names of noisebench's own, which no package can take.
    """

    kind: str
    name: str
    expected: str
    fits: Callable[[Any], bool]
    own_names: Callable[[], Collection[str]]

    def names(self) -> list[str]:
        """The names that packages offer, sorted; whether they can be loaded is not known yet.

        Warns:
            UserWarning: A package offers a name it cannot have, which is left out.
        """
        return sorted({entry.name for entry in self._entries()})

    def load(self, name: str) -> T:
        """What a package offers by this name.

        Raises:
            UserError: There is no such name (the nearest is given), several packages offer it, or what is offered
                cannot be imported or is none of its kind.
        """
        entry = self._entry(name)
        try:
            found: T = entry.load()
        except (Exception, SystemExit) as error:  # whatever the package's own code does
            raise self._fault(entry, f"{type(error).__name__}: {error}") from error
        if not self.fits(found):
            raise self._fault(entry, f"is {found!r}")
        return found

    def usable(self) -> dict[str, T]:
        """All that can be loaded, by name."""
        found = {}
        for name in self.names():
            try:
                found[name] = self.load(name)
            except UserError:
                continue
        return found

    def describe(self, name: str) -> str:
        """The first line of its docstring, or why it cannot be used."""
        try:
            return (inspect.getdoc(self.load(name)) or "").partition("\n")[0]
        except UserError as error:
            return str(error)

    def code(self, name: str) -> PluginCode | None:
        """Which code it is; None for a name that no package offers.

        Raises:
            UserError: As `load`.
        """
        if name not in self.names():
            return None
        self.load(name)
        entry = self._entry(name)
        return PluginCode(
            kind=self.kind,
            name=name,
            package=entry.dist.name if entry.dist else "",
            version=entry.dist.version if entry.dist else "",
            module=entry.module,
            sha256=sources_sha256(_outermost(entry.module)),
        )

    def _entries(self) -> list[EntryPoint]:
        own, entries = self.own_names(), []
        for entry in entry_points(group=self.name):
            if entry.name in own:
                _leave_out(self._title(entry), "the name is noisebench's own")
            elif not _NAME.fullmatch(entry.name):
                _leave_out(self._title(entry), "a name has letters, digits, _, - and .")
            else:
                entries.append(entry)
        return entries

    def _entry(self, name: str) -> EntryPoint:
        entries = self._entries()
        found = [entry for entry in entries if entry.name == name]
        if not found:
            known = {*self.own_names(), *(entry.name for entry in entries)}
            raise UserError(f"unknown {self.kind} '{name}': {did_you_mean(name, known)}")
        if len(found) > 1:
            packages = " and ".join(sorted(_package(entry) for entry in found))
            raise UserError(f"{self.kind} '{name}' is offered by several packages, {packages}: uninstall all but one")
        return found[0]

    def _title(self, entry: EntryPoint) -> str:
        return f"{self.kind} '{entry.name}' of the installed package {_package(entry)}"

    def _fault(self, entry: EntryPoint, problem: str) -> UserError:
        problem = " ".join(problem.split())
        return UserError(
            f"{self._title(entry)} cannot be used: {entry.value}: {problem}; expected {self.expected} "
            "(mend or uninstall the package)"
        )


def is_subclass(found: Any, base: type) -> bool:
    """Whether something is a class that is derived from another and leaves none of its methods open."""
    return inspect.isclass(found) and issubclass(found, base) and not inspect.isabstract(found)


def sources_sha256(root: Path, leave_out: Container[str] = ()) -> str:
    """SHA-256 of a module's file, or over the Python files of a package's folder and their places.

    Args:
        root: The file or folder.
        leave_out: Files and folders directly in it that do not count.
    """
    if root.is_file():
        return sha256_of(root)
    digest = hashlib.sha256()
    for source in sorted(root.rglob("*.py")):
        place = source.relative_to(root)
        if place.parts[0] not in leave_out:
            digest.update(f"{place.as_posix()}\0".encode() + source.read_bytes())
    return digest.hexdigest()


def _outermost(module: str) -> Path:
    """The folder of the outermost package of an imported module, or the file of a module in none.

    Namespace packages, which several distributions may share, are passed over.
    """
    parts = module.split(".")
    inwards = (sys.modules[".".join(parts[:depth])] for depth in range(1, len(parts) + 1))
    file = Path(next(path for found in inwards if (path := getattr(found, "__file__", None))))
    return file.parent if file.stem == "__init__" else file


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "without a name"


def _leave_out(title: str, why: str) -> None:
    warnings.warn(f"{title} is left out: {why}", stacklevel=1)  # told once, wherever names are looked up
