"""The beginning of a new method: a file that works as it is, and its test, both to be rewritten."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

import noisebench
from noisebench import methods
from noisebench.config import recipe_names
from noisebench.errors import FileError, UserError
from noisebench.files import whole_folder, write_text

METHOD = '''\
"""CLASS: what it does to one row of cosines, in one sentence.

Paper: authors, "title", conference and year, arXiv number.

Formula, with θ_j the angle between embedding and centre of class j, and y the label:

    z_y = s · (cos θ_y - m)
    z_j = s · cos θ_j,  j ≠ y

Defaults: s = 64, m = 0.35; where each is from, the paper or its authors' code.

Paper and code: where they differ, and what this file does.
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from noisebench.heads.margin_softmax import MarginSoftmax
from noisebench.heads.rows import MethodRows


class CLASS(MarginSoftmax):
    """What the method wants, in a few words."""

    class Options(MarginSoftmax.Options):
        """Options of CLASS."""

        margin: float = Field(default=0.35, ge=0, le=2, description="m, on the cosine.")

    options: Options

    def target(self, label_cosine: Tensor, rows: MethodRows) -> Tensor:
        """Cos θ_y - m. MarginSoftmax says which other hooks there are."""
        return label_cosine - self.options.margin
'''

TEST = '''\
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from noisebench import methods
from noisebench.errors import UserError
from noisebench.heads.head import Head


def make(margin: float = 0.2) -> Head:
    return methods.create("NAME", num_classes=5, embedding_size=3, scale=16.0, margin=margin)


def slow_loss(embeddings: Tensor, centres: Tensor, labels: Tensor) -> Tensor:
    """The formula of the paper, one number at a time; never by way of the method."""
    cosines = F.normalize(embeddings) @ F.normalize(centres).T
    rows = []
    for row, y in zip(cosines, labels, strict=True):
        rows.append(torch.stack([16 * (c - 0.2) if j == y else 16 * c for j, c in enumerate(row)]))
    return F.cross_entropy(torch.stack(rows), labels)


@pytest.mark.parametrize("seed", range(5))
def test_loss_and_gradients_are_those_of_the_formula(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    head, labels = make().double(), torch.randint(5, (7,), generator=generator)
    embeddings = torch.randn(7, 3, generator=generator, dtype=torch.float64).requires_grad_()
    loss, slow = head(embeddings, labels).loss, slow_loss(embeddings, head.centres, labels)
    torch.testing.assert_close(loss, slow)
    learned = (embeddings, head.centres)
    torch.testing.assert_close(torch.autograd.grad(loss, learned), torch.autograd.grad(slow, learned))


def test_faulty_options() -> None:
    with pytest.raises(UserError, match=r"CLASS: .*'margin' is -1"):
        make(margin=-1)
'''

PROJECT = """\
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "noisebench-DASHED"
version = "0.1.0"
description = "CLASS, a method for noisebench"
requires-python = ">=3.11"
dependencies = ["noisebench"]

[project.entry-points."noisebench.methods"]
NAME = "noisebench_NAME:CLASS"

[tool.setuptools]
py-modules = ["noisebench_NAME"]
"""


def write_method(name: str) -> list[Path]:
    """Write a method and its test into this checkout.

    Returns:
        The files written.

    Raises:
        UserError: The name cannot be a method's, or this noisebench is no checkout.
        FileError: A file of that name is there already.
    """
    _check(name)
    root = Path(noisebench.__file__).parents[1]
    if not (root / "tests" / "methods").is_dir():
        raise UserError(f"noisebench in {root} is installed, not a checkout: write a package with --package FOLDER")
    files = {
        root / "noisebench" / "methods" / f"{name}.py": METHOD,
        root / "tests" / "methods" / f"test_{name}.py": TEST,
    }
    for path in files:
        if path.exists():
            raise FileError(path, "already exists", "choose another name or remove it first")
    for path, template in files.items():
        write_text(path, _fill(template, name))
    return list(files)


def write_package(name: str, folder: Path) -> list[Path]:
    """Write a method as a package of its own, which offers it by its entry point once it is installed.

    Returns:
        The files written.

    Raises:
        UserError: The name cannot be a method's.
        FileError: The folder exists and is not empty.
    """
    _check(name)
    files = {"pyproject.toml": PROJECT, f"noisebench_{name}.py": METHOD, f"test_{name}.py": TEST}
    with whole_folder(folder) as temporary:
        for file, template in files.items():
            write_text(temporary / file, _fill(template, name))
    return [folder / file for file in files]


def _check(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name in methods.NO_METHODS:
        raise UserError(f"'{name}' cannot be a method's name: write lower-case letters, digits and _, as in my_method")
    if name in methods.names():
        raise UserError(f"there is a method '{name}' already: {methods.source_file(name)}")
    if name in recipe_names("methods"):
        raise UserError(f"there is a method recipe '{name}' already: choose another name")


def _fill(template: str, name: str) -> str:
    camel = "".join(part.capitalize() for part in name.split("_"))
    return template.replace("NAME", name).replace("CLASS", camel).replace("DASHED", name.replace("_", "-"))
