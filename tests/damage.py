"""Damage to files, drawn from a seed, and a cage in which to read them, which a crash, hang or endless allocation ends.

A damaged file is read by a process of its own, ``python -m tests.damage MODULE:FUNCTION COUNT``, because a crash of the
interpreter would take the tests with it.
"""

from __future__ import annotations

import faulthandler
import importlib
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

MAX_BYTES = 6 << 30
"""Address space of the process: Arrow alone reserves a few GiB without using them."""
SECONDS_A_FILE = 20.0


class Damage(NamedTuple):
    """A damaged copy of a file.

    Attributes:
        data: What is left of it.
        places: The bytes that were changed; none if it was cut short.
    """

    data: bytes
    places: list[int]


def damages(original: bytes, count: int, seed: int) -> Iterator[Damage]:
    """Copies of a file of which one to three bytes were changed, or, one in eight, the end is missing."""
    generator = np.random.Generator(np.random.Philox(seed))
    for number in range(count):
        if number % 8 == 7:
            yield Damage(original[: int(generator.integers(len(original)))], [])
            continue
        data = bytearray(original)
        places = sorted(set(generator.integers(len(data), size=1 + number % 8 // 3).tolist()))
        for place in places:
            data[place] ^= int(generator.integers(1, 256))
        yield Damage(bytes(data), places)


@contextmanager
def watched() -> Iterator[None]:
    """End the process with a traceback if the block takes longer than any file should."""
    faulthandler.dump_traceback_later(SECONDS_A_FILE, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def in_a_cage(function: Callable[[Path, int], None], count: int) -> None:
    """Run a function, which is given an empty folder and ``count``, in a process with little memory."""
    name = f"{function.__module__}:{function.__name__}"
    command = [sys.executable, "-m", "tests.damage", name, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def _main(name: str, count: int) -> None:
    module, _, function = name.partition(":")
    faulthandler.enable()
    work = getattr(importlib.import_module(module), function)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    with tempfile.TemporaryDirectory() as folder:
        work(Path(folder), count)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
