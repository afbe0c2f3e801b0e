"""Start the processes that run a cell, pass signals on to them, and wait for them.

Each cell has processes of its own, so that one that crashes or is killed takes no other with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from noisebench.bench.layout import Layout

WORKER = "noisebench.bench.execute"
ELASTIC = "noisebench.bench.elastic"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Ended:
    """How a cell's processes ended.

    Attributes:
        code: Exit code of the process waited for, negative where a signal ended it.
        peak_memory: Bytes of memory the largest of them had resident at once, as the kernel counted.
    """

    code: int
    peak_memory: int


class Children:
    """The processes under way. Ctrl-C, SIGTERM and a closed terminal are passed on to them: cells save and leave.

    A context, to be entered in the main thread; `run` may be called from any.
    """

    def __init__(self) -> None:
        self.stopping = False
        self._running: set[subprocess.Popen[bytes]] = set()

    def __enter__(self) -> Self:
        heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # as under nohup
        self._before = {number: signal.signal(number, self._pass_on) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, command: list[str], *, threads: int, keep_open: int | None, output: Path | None) -> Ended:
        """Run a command to its end.

        Args:
            command: Program and arguments.
            threads: Threads it may compute with; OMP_NUM_THREADS of this process's environment goes first.
            keep_open: A descriptor that it inherits, if any.
            output: The file that what it prints is added to; None for where this process prints.
        """
        environment = {"OMP_NUM_THREADS": str(threads), **os.environ}
        kept = () if keep_open is None else (keep_open,)
        with (output or Path(os.devnull)).open("ab") as stream:
            printed = stream if output else None
            child = subprocess.Popen(  # in a group of its own: a terminal's Ctrl-C comes through us, once
                command, env=environment, stdout=printed, stderr=printed, pass_fds=kept, process_group=0
            )
        self._running.add(child)
        if self.stopping:  # asked for in the very moment of the start
            child.send_signal(signal.SIGTERM)
        try:
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        finally:
            self._running.discard(child)
        return Ended(child.returncode, usage.ru_maxrss * 1024)

    def kill(self) -> None:
        """End them at once."""
        for child in tuple(self._running):
            child.kill()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        for child in tuple(self._running):
            child.send_signal(signal.SIGTERM)


def launch(
    folder: Path,
    layout: Layout,
    children: Children,
    *,
    lock: int | None = None,
    name: str = "",
    output: Path | None = None,
) -> Ended:
    """Run the cell laid down in ``folder``, in one process or by the engine behind ``torchrun``.

    Args:
        folder: The run's folder.
        layout: How many processes, and where.
        children: Where the processes are counted among.
        lock: Descriptor of the run's lock, if this host holds it; they keep it for as long as they live.
        name: What all hosts of a run call this attempt at it, where there are several.
        output: The file that gets what they print; None for this terminal.
    """
    command = [sys.executable, "-m", WORKER, str(folder)]
    if not layout.is_plain:
        command = [sys.executable, "-m", ELASTIC, str(folder), layout.model_dump_json(), name]
    return children.run(command, threads=layout.threads, keep_open=lock, output=output)
