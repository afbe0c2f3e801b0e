"""Start the process or processes that run a cell, and wait for them.

Each cell has processes of its own, so that one that crashes or is killed takes no other with it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from noisebench.exit_codes import ExitCode

WORKER = "noisebench.bench.execute"


def launch(folder: Path, *, num_processes: int) -> int:
    """Run the cell laid down in ``folder`` and return its exit code, negative where a signal ended it.

    Ctrl-C and SIGTERM are passed on, and waited for: the cell saves and leaves.
    """
    command = [sys.executable, "-m", WORKER, str(folder)]
    if num_processes > 1:
        command = [sys.executable, "-m", "noisebench.bench.launch", str(folder), str(num_processes)]
    environment = {"OMP_NUM_THREADS": str(max(1, len(os.sched_getaffinity(0)) // num_processes)), **os.environ}
    child = subprocess.Popen(command, env=environment)
    with _pass_on_signals(child):
        return child.wait()


@contextlib.contextmanager
def _pass_on_signals(child: subprocess.Popen[bytes]) -> Iterator[None]:
    # A terminal's Ctrl-C reaches the child by itself, and twice does no harm: a worker only notes the request.
    before = {
        number: signal.signal(number, lambda received, _: child.send_signal(received))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def torchrun(folder: Path, num_processes: int) -> ExitCode:
    """Run a cell in several processes on this host, by the engine behind ``torchrun``."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable()  # of the engine, in this process of its own: the record says what failed
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=num_processes,
        run_id="noisebench",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", WORKER, str(folder))
    except ChildFailedError as failed:
        codes = {failure.exitcode for failure in failed.failures.values()}
        return ExitCode.STOPPED if codes == {ExitCode.STOPPED} else ExitCode.FAILED
    except SignalException:
        return ExitCode.STOPPED
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(torchrun(Path(sys.argv[1]), int(sys.argv[2])))
