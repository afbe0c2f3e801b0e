"""Figures and faces as data URIs, within the bytes that a report may take."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from noisebench.analysis.figures.style import STYLE

DOTS_PER_INCH = 130
NUM_COLOURS = 96  # of a figure: enough for its colours with smooth edges, at a third of the bytes
MAX_BYTES = 12_000_000


@dataclass(frozen=True)
class Picture:
    """A picture in the page.

    Attributes:
        uri: Its data URI.
        width: In CSS pixels.
        height: In CSS pixels.
        caption: What it shows; also its alternative text.
    """

    uri: str
    width: int
    height: int
    caption: str


class Budget:
    """Hands out data URIs until their bytes are spent; from then on pictures are left out, and counted.

    Args:
        num_bytes: How much text all of them may take together.
    """

    def __init__(self, num_bytes: int = MAX_BYTES) -> None:
        self.left = num_bytes
        self.num_left_out = 0

    def figure(self, figure: Figure, caption: str) -> Picture | None:
        """A figure as PNG; None where the budget is spent."""
        inches = figure.get_size_inches()
        width, height = (round(96 * side) for side in inches)
        uri = self._uri("image/png", _png(figure))
        return None if uri is None else Picture(uri, width, height, caption)

    def faces(self, images: list[bytes]) -> list[str] | None:
        """The data URIs of JPEG images; None where the budget does not suffice for all of them."""
        if sum(map(_encoded_size, images)) > self.left:
            self.num_left_out += len(images)
            return None
        return [uri for image in images if (uri := self._uri("image/jpeg", image)) is not None]

    def _uri(self, media_type: str, content: bytes) -> str | None:
        size = _encoded_size(content)
        if size > self.left:
            self.num_left_out += 1
            return None
        self.left -= size
        return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _encoded_size(content: bytes) -> int:
    return 4 * -(-len(content) // 3) + 32


def _png(figure: Figure) -> bytes:
    """A figure as PNG of a small palette."""
    full, small = io.BytesIO(), io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(full, format="png", dpi=DOTS_PER_INCH, facecolor="white")
    with Image.open(full) as image:
        reduced = image.convert("RGB").quantize(NUM_COLOURS, method=Image.Quantize.MEDIANCUT)
        reduced.save(small, format="PNG", optimize=True)
    return min(full.getvalue(), small.getvalue(), key=len)
