"""What an analysis was made from: a fingerprint of a run's files and of the code that reads them.

A stored analysis is used again only where both are still the same.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from noisebench.analysis import centre_log, sample_log
from noisebench.analysis.drift import CENTRES_FILE
from noisebench.analysis.state_log import STATE_FILE

FILES = (
    f"{sample_log.FOLDER}/epoch=[0-9]*/rank=*.parquet",
    f"{centre_log.FOLDER}/epoch=[0-9]*.parquet",
    STATE_FILE,
    CENTRES_FILE,
    "model.pt",
)
"""What is read, in the run's folder; its record and manifest have hashes of their own."""
END = 1 << 16
"""Bytes of a file's beginning and of its end that count: a Parquet file ends in a table of where everything lies."""


def fingerprint(run_folder: Path) -> str:
    """SHA-256 over names, sizes, beginnings and ends of the files, and over the sources of the analyses.

    It tells one log from another without reading all of it (1.6 GB at 5.8 million images and 20 epochs), and stays the
    same when a results folder is copied. It does not tell a log from the same one with a few bytes damaged.

    Raises:
        OSError: A file cannot be read.
    """
    digest = hashlib.sha256(_sources().encode())
    for pattern in FILES:
        for path in sorted(run_folder.glob(pattern)):
            size = path.stat().st_size
            digest.update(f"\n{path.relative_to(run_folder).as_posix()} {size}\n".encode())
            with path.open("rb") as stream:
                digest.update(stream.read(END))
                stream.seek(max(0, size - END))
                digest.update(stream.read(END))
    return digest.hexdigest()


@cache
def _sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\n" + path.read_bytes())
    return digest.hexdigest()
