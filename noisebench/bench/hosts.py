"""Several hosts at one bench: the first says which run is next, the others join in it.

All are given the same command. The host that owns the rendezvous' address is the first: it plans, keeps the records and
opens a store (torch's, as ``torchrun`` uses it) on the rendezvous' port; the others wait there to be told.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from torch.distributed import TCPStore  # type: ignore[attr-defined] # public, but its stubs do not say so

from noisebench.bench.launch import Children, launch
from noisebench.bench.layout import Layout
from noisebench.bench.provenance import code
from noisebench.errors import UserError
from noisebench.exit_codes import ExitCode

T = TypeVar("T")

_SECONDS_TO_PART = 10
_PAUSE = 0.2


class First:
    """What the first host tells the others."""

    def __init__(self, store: TCPStore, hosts: int) -> None:
        self.outcome = ExitCode.STOPPED
        self._store, self._hosts = store, hosts
        self._told = 0

    def announce(self, folder: Path) -> str:
        """Have the others join in the run of this folder, which is the same folder for them; give its name."""
        name = f"{self._told}-{folder.name}"
        self._tell({"folder": str(folder), "name": name})
        return name

    def part(self) -> None:
        """Tell the others that all is over and how it ended, and wait for a moment until they know."""
        self._tell({"outcome": int(self.outcome)})
        deadline = time.monotonic() + _SECONDS_TO_PART
        while self._store.add("parted", 0) < self._hosts - 1 and time.monotonic() < deadline:
            time.sleep(_PAUSE)

    def _tell(self, message: dict[str, str | int]) -> None:
        self._store.set(f"message/{self._told}", json.dumps(message))
        self._told += 1


@contextlib.contextmanager
def lead(layout: Layout) -> Iterator[First]:
    """Be the first host.

    Raises:
        UserError: The rendezvous' port is in use.
    """
    host, port = layout.endpoint
    try:
        store = TCPStore(
            host, port, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=layout.meeting_seconds)
        )
    except RuntimeError as error:
        raise UserError(
            f"--rendezvous {host}:{port}: port {port} cannot be opened, another program has it perhaps; choose another"
        ) from error
    store.set("code", code().sha256)
    first = First(store, layout.hosts)
    try:
        yield first
    finally:
        first.part()


def follow(layout: Layout, children: Children, say: Callable[[str], None]) -> ExitCode:
    """Be another host: join in one run after the other, until the first says that all is over.

    Raises:
        UserError: The first host is not there, or runs another noisebench.
    """
    host, port = layout.endpoint
    try:
        store = TCPStore(host, port, is_master=False, timeout=timedelta(seconds=layout.meeting_seconds))
        theirs = store.get("code").decode()
    except RuntimeError as error:
        raise UserError(
            f"--rendezvous {host}:{port}: the first host did not answer for {layout.meeting_seconds} s; "
            "start the same command there, and see that this host can reach that port"
        ) from error
    if theirs != code().sha256:
        raise UserError(f"{host} runs another version of noisebench than this host: install the same on both")
    try:
        for number in itertools.count():
            message = _next_message(store, number, layout, children)
            if message is None:
                break
            if "outcome" in message:
                store.add("parted", 1)
                return ExitCode(message["outcome"])
            say(f"joining in {message['folder']}")
            _join_in(message, layout, children, store)
    except RuntimeError:
        say(f"lost the first host, {host}:{port}: the same command on every host goes on from the last checkpoints")
    return ExitCode.STOPPED


def _join_in(message: dict[str, Any], layout: Layout, children: Children, store: TCPStore) -> None:
    """Do this host's part of a run.

    Raises:
        RuntimeError: The first host is gone.
    """
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(launch, Path(message["folder"]), layout, children, name=message["name"])
        try:
            while not ended.done():
                wait([ended], timeout=_PAUSE)
                _ask(lambda: store.check(["code"]), layout)
        except RuntimeError:
            # The processes find so by themselves; the engine above them would wait on for long.
            wait([ended], timeout=2 * layout.answer_seconds)
            children.kill()
            raise


def _next_message(store: TCPStore, number: int, layout: Layout, children: Children) -> dict[str, Any] | None:
    """What the first host says next; None where this one was asked to stop."""
    key = f"message/{number}"
    while not children.stopping:
        if _ask(lambda: store.check([key]), layout):
            return dict(json.loads(_ask(lambda: store.get(key), layout)))
        time.sleep(_PAUSE)
    return None


def _ask(question: Callable[[], T], layout: Layout) -> T:
    """What the store answers.

    Raises:
        RuntimeError: It does not. The store's own timeout does not help when the network is cut, so the question is put
            in a thread of its own, which is left behind then.
    """
    answers: queue.SimpleQueue[T] = queue.SimpleQueue()

    def put() -> None:
        with contextlib.suppress(RuntimeError):
            answers.put(question())

    asking = threading.Thread(target=put, daemon=True)
    asking.start()
    asking.join(layout.answer_seconds)
    if answers.empty():
        raise RuntimeError("the first host does not answer")
    return answers.get()


def own_address(layout: Layout) -> str:
    """The address of this host that the other hosts reach it by."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(layout.endpoint)  # sends nothing: the kernel only looks up the way there
        return str(probe.getsockname()[0])


def is_first(layout: Layout) -> bool:
    """Whether the rendezvous' address is this host's own.

    Raises:
        UserError: There is no such host.
    """
    host, _ = layout.endpoint
    try:
        address = socket.gethostbyname(host)
    except OSError as error:
        raise UserError(f"--rendezvous {layout.rendezvous}: no host '{host}' is known here") from error
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind((address, 0))
        return True
    return False
