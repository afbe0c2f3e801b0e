"""Ctrl-C and SIGTERM as a request: the step under way ends, and the run can go on later."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(Exception):  # noqa: N818 - not an error
    """The run was asked to stop; what it had saved stands."""


class StopRequest:
    """Whether somebody has asked this process to stop."""

    def __init__(self) -> None:
        self.made = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Note the request, as a signal handler."""
        self.made = True


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn SIGINT and SIGTERM into a request for as long as the block runs."""
    request = StopRequest()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, request) for number in signals]
    try:
        yield request
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
