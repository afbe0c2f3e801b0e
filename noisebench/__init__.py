"""noisebench: face recognition under label noise, benchmarked exactly.

The package is laid out in the order the data flows:
``formats`` (bytes on disk) -> ``noise`` (what is mislabelled) -> ``data`` (samples) -> ``backbones`` and
``methods`` on ``heads`` (the network) -> ``training`` -> ``evaluation`` -> ``bench`` (methods x noise x seeds)
-> ``analysis`` (tables and figures). ``cli`` only parses arguments.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

__version__ = "0.1.0"

LOADED_WHEN_USED = ("backbones", "methods")
"""Rooms that are there after ``import noisebench`` alone, which itself imports none."""

if TYPE_CHECKING:
    from noisebench import backbones as backbones
    from noisebench import methods as methods
else:

    def __getattr__(name: str) -> ModuleType:
        if name in LOADED_WHEN_USED:
            return importlib.import_module(f"noisebench.{name}")
        raise AttributeError(f"module 'noisebench' has no attribute '{name}'")
