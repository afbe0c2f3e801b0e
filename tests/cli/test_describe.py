"""``noisebench describe`` prints the page of a method."""

import json

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


def test_json_has_the_page_and_the_schema_of_the_options() -> None:
    found = json.loads(CliRunner().invoke(app, ["describe", "arcface", "--json"]).output)
    assert (found["method"], found["page"]) == ("arcface", page("arcface"))
    assert set(found["options"]["properties"]) == set(methods.find("arcface").Options.model_fields)
    everything = json.loads(CliRunner().invoke(app, ["describe", "--json"]).output)
    assert [one["method"] for one in everything] == methods.names()


def test_unknown_method() -> None:
    error = CliRunner().invoke(app, ["describe", "arcfase"]).exception
    assert isinstance(error, UserError)
    assert "did you mean 'arcface'?" in str(error)
