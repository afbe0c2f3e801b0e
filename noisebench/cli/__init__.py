"""The command line, one file a verb. No logic here: arguments in, one call, text out."""

from __future__ import annotations

from noisebench.cli.app import app, main

__all__ = ["app", "main"]
