"""Methods: one file each, found by scan, that says what the method does to one row of cosines.

A file dropped in this folder is a method by the file's name; it defines one subclass of `noisebench.heads.head.Head`.
An installed package offers its own by an entry point of the group ``noisebench.methods`` that names such a class.
Nothing else has to be edited, and importing this package or asking for `names` does not import torch.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebench.errors import UserError
from noisebench.plugins import Group, is_subclass

if TYPE_CHECKING:
    from noisebench.heads.head import Head

NO_METHODS = {"recipe"}
"""Files of this folder that are about methods and none themselves."""


def names() -> list[str]:
    """The names of all methods, sorted."""
    return sorted({*_files(), *PLUGINS.names()})


def descriptions() -> dict[str, str]:
    """What each method is, in one line, by its name; torch is imported only if a package offers one."""
    found = {name: _subject(path) for name, path in _files().items()}
    found |= {name: PLUGINS.describe(name) for name in PLUGINS.names()}
    return dict(sorted(found.items()))


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
    if name not in _files():
        return PLUGINS.load(name)
    module = importlib.import_module(f"{__name__}.{name}")
    classes: list[type[Head]] = [
        item for item in vars(module).values() if _is_method(item) and item.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise UserError(f"{module.__file__}: expected one subclass of Head, found {len(classes)}")
    return classes[0]


def usable() -> dict[str, type[Head]]:
    """The classes of all methods by name, without those of packages that are at fault."""
    return {name: find(name) for name in _files()} | PLUGINS.usable()


def source_file(name: str) -> Path:
    """The file a method is written in.

    Raises:
        UserError: There is no such method; the nearest name is given.
    """
    return _files().get(name) or Path(inspect.getfile(find(name)))


def _files() -> dict[str, Path]:
    """The methods of this folder and their files."""
    return {
        module.name: Path(folder) / f"{module.name}.py"
        for folder in __path__
        for module in pkgutil.iter_modules([folder])
        if module.name not in NO_METHODS and not module.name.startswith("_")
    }


def _subject(path: Path) -> str:
    """The first paragraph of a file's docstring, on one line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ")


def _is_method(item: Any) -> bool:
    from noisebench.heads.head import Head

    return is_subclass(item, Head)


PLUGINS: Group[type[Head]] = Group(
    kind="method",
    name="noisebench.methods",
    expected="a subclass of noisebench.heads.head.Head",
    fits=_is_method,
    own_names=_files,
)
"""The methods of installed packages."""
