"""Worker processes that Ctrl-C does not reach, and that do not outlive the process that began them."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import connection
from threading import Thread
from typing import ParamSpec, TypeVar

import cv2

_P = ParamSpec("_P")
_T = TypeVar("_T")


class WorkerPool(ProcessPoolExecutor):
    """Fresh processes rather than forked ones: a fork of a process that holds torch's threads may hang.

    Args:
        workers: How many processes.
        prepare: What each does first.
    """

    def __init__(self, workers: int, prepare: Callable[[], object]) -> None:
        super().__init__(workers, multiprocessing.get_context("spawn"), _begin, (prepare,))

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Have a function called by one of the processes, which may begin only now.

        They begin with Ctrl-C held back, which a terminal sends to them too: the first process ends them.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(prepare: Callable[[], object]) -> None:
    """Begin as a worker process."""
    Thread(target=_leave_with_parent, daemon=True).start()
    cv2.setNumThreads(1)  # there is a process for each processor already
    prepare()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "called in a worker process"
    connection.wait([parent.sentinel])
    os._exit(1)
