"""Methods: one file each, found by scan, that says what the method does to one row of cosines.

A file dropped in this folder is a method by the file's name; it defines one subclass of `noisebench.heads.head.Head`.
An installed package offers its own by an entry point of the group ``noisebench.methods`` that names such a class.
Nothing else has to be edited, and importing this package or asking for `names` does not import torch.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebench.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from noisebench.heads.head import Head

ENTRY_POINT_GROUP = "noisebench.methods"
NO_METHODS = {"recipe"}
"""Files of this folder that are about methods and none themselves."""


def names() -> list[str]:
    """The names of all methods, sorted."""
    return sorted({*_files(), *_entry_points()})


def create(name: str, *, num_classes: int, embedding_size: int, seed: int = 0, **options: Any) -> Head:
    """Build a method's head.

    Args:
        name: One of `names`.
        num_classes: Number of identities, at least 2.
        embedding_size: Length of an embedding.
        seed: Of the initial class centres.
        options: The method's own, see its file.

    Raises:
        UserError: The method or an option is unknown (the nearest is named), or a value is outside its range.
    """
    return find(name)(num_classes=num_classes, embedding_size=embedding_size, seed=seed, **options)


def find(name: str) -> type[Head]:
    """The class of a method; ``find(name).resolve(options)`` gives all its options as plain values.

    Raises:
        UserError: There is no such method; the nearest name is given.
    """
    from noisebench.heads.head import Head

    _check(name)
    if name not in _files():
        found = _entry_points()[name].load()
        if not (inspect.isclass(found) and issubclass(found, Head)):
            raise UserError(f"method '{name}' of an installed package is {found!r}: expected a subclass of Head")
        return found
    module = importlib.import_module(f"{__name__}.{name}")
    classes = [
        item
        for item in vars(module).values()
        if inspect.isclass(item) and issubclass(item, Head) and item.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise UserError(f"{module.__file__}: expected one subclass of Head, found {len(classes)}")
    return classes[0]


def source_file(name: str) -> Path:
    """The file a method is written in.

    Raises:
        UserError: There is no such method; the nearest name is given.
    """
    _check(name)
    return _files().get(name) or Path(inspect.getfile(find(name)))


def _check(name: str) -> None:
    if name not in names():
        raise UserError(f"unknown method '{name}': {did_you_mean(name, names())}")


def _files() -> dict[str, Path]:
    """The methods of this folder and their files."""
    return {
        module.name: Path(folder) / f"{module.name}.py"
        for folder in __path__
        for module in pkgutil.iter_modules([folder])
        if module.name not in NO_METHODS and not module.name.startswith("_")
    }


def _entry_points() -> dict[str, EntryPoint]:
    """The methods of installed packages."""
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
