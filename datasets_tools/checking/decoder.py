"""Decoding that notices damage the decoder forgives: libjpeg fills in what it cannot read and warns on stderr."""

from __future__ import annotations

import os
import tempfile

from noisebench.formats.jpeg import Encoded, ImageError, decode


class SternDecoder:
    """Decode images, and take a warning of the decoder for the fault that it is.

    While an image is decoded, what this process writes to its standard error is caught. So it must not be used beside
    other threads that write there.
    """

    def __init__(self) -> None:
        self._caught = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the object
        self._stderr = os.dup(2)

    def problem(self, encoded: Encoded, image_size: tuple[int, int] | None) -> str | None:
        """What is wrong with an encoded image, None if nothing is.

        Args:
            encoded: The image.
            image_size: The height and width it must have; None if any will do.
        """
        os.dup2(self._caught.fileno(), 2)
        try:
            height, width, _ = decode(encoded).shape
        except ImageError as error:
            return str(error)
        finally:
            os.dup2(self._stderr, 2)
            warning = self._take_warning()
        if warning:
            return f"the decoder warns: {warning}"
        if image_size not in (None, (height, width)):
            return f"{height}x{width} pixels; expected {'x'.join(map(str, image_size or ()))}"
        return None

    def _take_warning(self) -> str:
        """The first line that was caught; nothing is left."""
        size = self._caught.seek(0, os.SEEK_END)
        if size == 0:
            return ""
        self._caught.seek(0)
        text = self._caught.read(200).decode("utf-8", "replace")
        self._caught.seek(0)
        self._caught.truncate()
        return text.strip().partition("\n")[0]
