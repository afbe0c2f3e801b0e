"""One run on two hosts: two network namespaces joined by a cable, which is cut in the middle and mended."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from noisebench.bench.interfaces import interface_of
from noisebench.bench.status import RunStatus, all_statuses
from noisebench.bench.store import all_runs
from tests.bench.outcomes import outcomes
from tests.tiny import SUITE, write_faces

EPOCHS = 40
ADDRESSES = ("10.213.7.1", "10.213.7.2")


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """The names of two network namespaces with a cable between them."""
    if os.getuid() != 0 or shutil.which("ip") is None:
        pytest.skip("making network namespaces takes root and iproute2")
    first, second = names = (f"nb{os.getpid()}a", f"nb{os.getpid()}b")
    made = subprocess.run(["ip", "netns", "add", first], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no network namespace can be made here: {made.stderr.strip()}")
    try:
        ip("netns", "add", second)
        ip("link", "add", "cable", "netns", first, "type", "veth", "peer", "name", "cable", "netns", second)
        for name, address in zip(names, ADDRESSES, strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "cable")
            for device in ("lo", "cable"):
                ip("-n", name, "link", "set", device, "up")
        yield names
    finally:
        for name in names:
            left = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split()
            subprocess.run(["kill", "-KILL", *left], capture_output=True)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def test_a_cut_cable_is_a_clear_error_and_once_mended_the_run_goes_on(hosts: tuple[str, str], tmp_path: Path) -> None:
    write_faces(tmp_path / "faces")
    (tmp_path / "tiny.yaml").write_text(SUITE.replace("epochs: 3", f"epochs: {EPOCHS}"), encoding="utf-8")
    results = tmp_path / "results"

    benches = start(hosts, tmp_path)
    wait_until(lambda: any((run.step or 0) > 6 for run in statuses(results)), lambda: printed(hosts, tmp_path))
    ip("-n", hosts[0], "link", "set", "cable", "down")
    whole = uninterrupted(tmp_path)  # while these wait for each other
    first, second = ended(benches, hosts, tmp_path)
    assert first[0] == 75, first[1]
    assert "Is the network between them cut?" in first[1] or "was lost" in first[1], first[1]
    assert "the same command goes on from there" in first[1]
    assert "Traceback" not in first[1] + second[1]
    assert second[0] == 75, second[1]
    assert f"lost the first host, {ADDRESSES[0]}:29500" in second[1]
    (cut,) = statuses(results)
    assert cut.status == "interrupted"
    assert 6 < (cut.step or 0) < 3 * EPOCHS

    assert whole.wait(timeout=120) == 0, (tmp_path / "whole.txt").read_text()

    ip("-n", hosts[0], "link", "set", "cable", "up")
    again = ended(start(hosts, tmp_path), hosts, tmp_path)
    assert [code for code, _ in again] == [0, 0], again
    assert f"epoch 1/{EPOCHS}" not in again[0][1] + again[1][1]
    (run,) = all_runs(results)
    assert run.record.environment is not None
    assert (run.record.status, run.record.environment.world_size) == ("done", 2)
    assert [epoch.epoch for epoch in run.record.history] == list(range(EPOCHS))
    assert outcomes(results) == outcomes(tmp_path / "whole")


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    write_faces(tmp_path / "faces")
    (tmp_path / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bench = subprocess.run(
            [*command(), "--rendezvous", f"127.0.0.1:{port}"], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
    assert (bench.returncode, bench.stderr.count("\n")) == (2, 1), bench.stderr
    assert f"port {port} cannot be opened" in bench.stderr


def test_the_interface_of_an_address_is_found() -> None:
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("192.0.2.1") is None  # of the block for documentation: nobody's


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=20)


def command(*more: str) -> list[str]:
    bench = [sys.executable, "-m", "noisebench", "bench", "--suite", "tiny.yaml", "--data", "faces"]
    return [*bench, "--methods", "arcface", *(more or ("--nnodes", "2", "--timeout", "0.15"))]


def uninterrupted(folder: Path) -> subprocess.Popen[str]:
    """The same run in as many processes, on one host with a cable to nobody."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole = command("--nproc", "2", "--results", "whole")
    with (folder / "whole.txt").open("w") as output:
        return subprocess.Popen(whole, cwd=folder, env=environment, stdout=output, stderr=output, text=True)


def start(hosts: tuple[str, str], folder: Path) -> list[subprocess.Popen[str]]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    benches = []
    for host in hosts:
        with (folder / f"{host}.txt").open("w") as output:
            inside = ["ip", "netns", "exec", host, *command(), "--rendezvous", f"{ADDRESSES[0]}:29500"]
            bench = subprocess.Popen(inside, cwd=folder, env=environment, stdout=output, stderr=output, text=True)
            benches.append(bench)
    return benches


def ended(benches: list[subprocess.Popen[str]], hosts: tuple[str, str], folder: Path) -> list[tuple[int, str]]:
    """The exit code of each, and what it has printed."""
    for bench in benches:
        try:
            bench.wait(timeout=120)
        except subprocess.TimeoutExpired:
            pytest.fail(f"does not end:\n{printed(hosts, folder)}")
    return [(bench.returncode, text) for bench, text in zip(benches, printed(hosts, folder), strict=True)]


def printed(hosts: tuple[str, str], folder: Path) -> list[str]:
    return [(folder / f"{host}.txt").read_text() for host in hosts]


def statuses(results: Path) -> list[RunStatus]:
    return all_statuses(results) if any(results.glob("runs/*/*/*/*/result.json")) else []


def wait_until(reached: Callable[[], bool], said: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        if time.monotonic() > deadline:
            pytest.fail(f"not reached in two minutes:\n{said()}")
        time.sleep(0.2)
