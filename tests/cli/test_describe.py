"""``noisebench describe`` prints the page of a method."""

from typer.testing import CliRunner

from noisebench import methods
from noisebench.cli import app
from noisebench.errors import UserError
from noisebench.methods._page import page


def test_one_method_or_all() -> None:
    assert CliRunner().invoke(app, ["describe", "arcface"]).output == page("arcface")
    everything = CliRunner().invoke(app, ["describe"]).output
    assert everything.startswith("# Methods\n")
    assert all(f"\n## {name}\n" in everything for name in methods.names())


def test_unknown_method() -> None:
    error = CliRunner().invoke(app, ["describe", "arcfase"]).exception
    assert isinstance(error, UserError)
    assert "did you mean 'arcface'?" in str(error)
