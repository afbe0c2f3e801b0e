"""The page itself: the template with its style and script inlined, and nothing fetched from anywhere.

Every value is escaped, for names come from files. A content security policy admits this style and this script by their
hash, and pictures from data URIs; whatever else gets into the page is not run.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from noisebench.files import write_text
from noisebench.report.collect import Report, collect

MAX_BYTES = 15_000_000


def write_report(results: Path, out: Path, *, with_faces: bool = True) -> Report:
    """Write the report of a results folder; give what it shows.

    Args:
        results: The folder.
        out: The HTML file.
        with_faces: Whether images of faces are shown.

    Raises:
        FileError: There is no such folder, or the file cannot be written.
    """
    report = collect(results, with_faces=with_faces)
    write_text(out, render(report))
    return report


def render(report: Report) -> str:
    """The report as one HTML page."""
    style, script = (files(__package__).joinpath(name).read_text("utf-8") for name in ("report.css", "report.js"))
    environment = Environment(
        loader=PackageLoader(__package__, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["markdown"] = _markdown
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'"
    template = environment.get_template("report.html")
    return template.render(report=report, style=Markup(style), script=Markup(script), policy=policy)


def _markdown(text: str) -> Markup:
    """Markdown as HTML, in which HTML of the text itself is shown and not obeyed."""
    parser = MarkdownIt("js-default")
    parser.add_render_rule(
        "th_open", lambda *_: '<th scope="col">'
    )  # and no style attributes, which the policy refuses
    parser.add_render_rule("td_open", lambda *_: "<td>")
    return Markup(parser.render(text))


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
