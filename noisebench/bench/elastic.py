"""Run a cell in several processes, on one host or many, by the engine behind ``torchrun``.

``python -m noisebench.bench.elastic FOLDER LAYOUT NAME`` is started by `noisebench.bench.launch` on every host. The
hosts meet at the rendezvous; a process that dies is started again, with all the others, as often as the layout says,
and they go on from the last checkpoint.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Collection
from pathlib import Path

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous.api import RendezvousError, RendezvousTimeoutError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from noisebench.bench.hosts import own_address
from noisebench.bench.interfaces import interface_of
from noisebench.bench.layout import Layout
from noisebench.exit_codes import ExitCode

SECONDS_TO_SAVE = 300  # torch's own 30 are few for a large model on a slow disk


def main(folder: Path, layout: Layout, name: str) -> int:
    """Run a cell's processes on this host; give the exit code, 128 and the signal's number where one was killed."""
    logging.disable()  # of the engine, in this process of its own: the record says what failed
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SECONDS_TO_SAVE))
    # In the store that torch shares between attempts lies what dead processes wrote: those started again would hang.
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    try:
        elastic_launch(_configuration(layout, name), sys.executable)("-m", __spec__.name, str(folder))
    except ChildFailedError as failed:
        code = exit_code_behind(failed.failures.values())
        return 128 - code if code < 0 else code
    except SignalException:
        return ExitCode.STOPPED
    except RendezvousTimeoutError:
        sys.stderr.write(f"noisebench: the hosts did not meet within {layout.meeting_seconds} s\n")
        return ExitCode.STOPPED
    except RendezvousError:  # the first host is gone: the bench here finds so too, and says it
        return ExitCode.STOPPED
    return ExitCode.DONE


def exit_code_behind(failures: Collection[ProcessFailure]) -> int:
    """The exit code of the process that the others failed for; negative is the signal that ended it.

    Of those that failed first it is the one that a signal ended, for the others die of its absence. What the engine
    did to the rest comes later, or is to ask them to leave: a process that hangs is killed only when it is known to.
    """
    first = min(failure.timestamp for failure in failures)
    codes = {failure.exitcode for failure in failures if failure.timestamp <= first + 1}  # timestamps are whole seconds
    return min(codes - {-signal.SIGTERM} or codes)


def _configuration(layout: Layout, name: str) -> LaunchConfig:
    endpoint, address, store = "localhost:0", None, {}
    if layout.hosts > 1:
        endpoint, address = str(layout.rendezvous), own_address(layout)
        if interface := interface_of(address):  # gloo and nccl would go by the host's name, which may lead elsewhere
            os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", interface)
        # The first host's bench keeps the store, from one cell to the next.
        store = {"is_host": False, "join_timeout": layout.meeting_seconds, "read_timeout": layout.answer_seconds}
    return LaunchConfig(
        min_nodes=layout.hosts,
        max_nodes=layout.hosts,
        nproc_per_node=layout.processes,
        run_id=name or "noisebench",
        rdzv_backend="c10d",
        rdzv_endpoint=endpoint,
        rdzv_configs=store,
        local_addr=address,
        max_restarts=layout.restarts,
    )


def work(folder: Path) -> int:
    """One of the processes: one that was asked to stop has done its work, and is not started again."""
    from noisebench.bench import execute

    code = execute.main(folder)
    return ExitCode.DONE if code == ExitCode.STOPPED else code


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sys.exit(work(Path(sys.argv[1])))
    sys.exit(main(Path(sys.argv[1]), Layout.model_validate_json(sys.argv[2]), sys.argv[3]))
