"""What the doctor finds on machines that are made up: files of another kernel, other answers of the system."""

from __future__ import annotations

import importlib.metadata
import json
import os
import resource
import shutil
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from noisebench import doctor
from noisebench.cli import app
from noisebench.doctor import Finding, Surroundings, extras, machine, network, reading, software
from noisebench.doctor.cgroups import core_limit, memory_limit
from noisebench.doctor.finding import GIB
from tests.tiny import write_faces


def around(root: Path, files: dict[str, str] | None = None, **given: Any) -> Surroundings:
    """A machine whose kernel says what these files do."""
    for name, text in (files or {}).items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Surroundings(root=root, **{"environ": {}, "results": root / "results", **given})


def only(findings: Iterable[Finding]) -> Finding:
    (finding,) = findings
    return finding


MEMINFO = "MemTotal:  33554432 kB\nMemFree: 1 kB\nMemAvailable: {} kB\n"  # 32 GiB


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        (
            {  # the group around this one is the narrower
                "proc/self/cgroup": "0::/slurm/job1\n",
                "sys/fs/cgroup/slurm/job1/cpu.max": "400000 100000\n",
                "sys/fs/cgroup/slurm/cpu.max": "200000 100000\n",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/x\n3:cpu:/docker/abc\n",
                "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
    ],
)
def test_limit_of_cores(tmp_path: Path, files: dict[str, str], limit: float | None) -> None:
    assert core_limit(around(tmp_path, files)) == limit


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, None),
        (
            {
                "proc/self/cgroup": "0::/a\n",
                "sys/fs/cgroup/a/memory.max": "max\n",
                "sys/fs/cgroup/memory.max": f"{2 * GIB}\n",
            },
            2 * GIB,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/a\n",
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": f"{3 * GIB}\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            3 * GIB,
        ),
    ],
)
def test_limit_of_memory(tmp_path: Path, files: dict[str, str], limit: int | None) -> None:
    assert memory_limit(around(tmp_path, files)) == limit


def test_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    found = only(machine.cores(around(tmp_path, environ={"OMP_NUM_THREADS": "3"})))
    assert found.level == "ok"
    assert found.found.startswith("8 of the machine's")
    assert "OMP_NUM_THREADS=3" in found.found
    limits = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}
    found = only(machine.cores(around(tmp_path, limits)))
    assert (found.level, "limited to 2.5 cores' time" in found.found) == ("warn", True)
    assert found.meaning.endswith("say --cores 2")


@pytest.mark.parametrize(
    ("available", "limit", "level"),
    [(16 * GIB, None, "ok"), (2 * GIB, None, "warn"), (GIB // 2, None, "fail"), (16 * GIB, 2 * GIB, "warn")],
)
def test_memory(tmp_path: Path, available: int, limit: int | None, level: str) -> None:
    files = {"proc/meminfo": MEMINFO.format(available // 1024)}
    if limit is not None:
        files |= {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": str(limit)}
    found = only(machine.memory(around(tmp_path, files)))
    assert found.level == level
    assert f"{available / GIB:.1f} GiB free of 32.0 GiB" in found.found
    assert ("limited to 2.0 GiB" in found.found) == (limit is not None)


@pytest.mark.parametrize(("free", "level"), [(100 * GIB, "ok"), (5 * GIB, "warn"), (GIB // 100, "fail")])
def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    place = tmp_path / "deep" / "results"
    surroundings = around(tmp_path, {"proc/mounts": f"a / ext4 rw\nb {tmp_path} nfs4 rw\n"}, results=place)
    found = only(machine.disk(surroundings))
    assert found.level == level
    assert found.found.endswith("nfs4")
    assert ("flock" in found.meaning) == (level == "ok")
    assert not place.parent.exists()  # a doctor only looks


def test_disk_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = only(machine.disk(around(tmp_path)))
    assert (found.level, found.meaning) == ("fail", "name another folder with --results")


def test_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(machine.shared_memory(around(tmp_path))).found == "there is no /dev/shm"
    (tmp_path / "dev" / "shm").mkdir(parents=True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=64 << 20))
    found = only(machine.shared_memory(around(tmp_path)))
    assert (found.level, "--shm-size" in found.meaning) == ("warn", True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=8 * GIB))
    assert only(machine.shared_memory(around(tmp_path))).level == "ok"


@pytest.mark.parametrize(
    ("limits", "level", "remedy"),
    [
        ((256, 4096), "warn", "ulimit -n 1024"),
        ((256, 512), "warn", "ulimit -n 512"),
        ((256, resource.RLIM_INFINITY), "warn", "ulimit -n 1024"),
        ((1024, 4096), "ok", ""),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), "ok", ""),
    ],
)
def test_open_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], level: str, remedy: str
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    found = only(machine.open_files(around(tmp_path)))
    assert found.level == level
    assert found.meaning.endswith(remedy)


ROUTE = "Iface Destination Gateway\nib0 0000FEA9 00000000\neth0 00000000 0102000A\n"


@pytest.mark.parametrize(
    ("addresses", "environ", "level", "told"),
    [
        ({"lo": "127.0.0.1"}, {}, "ok", "stay on this host"),
        ({"lo": "127.0.0.1", "ib0": "10.1.0.1", "eth0": "10.0.0.1"}, {}, "ok", "most likely eth0"),
        ({"ib0": "10.1.0.1", "eth0": "10.0.0.1"}, {"GLOO_SOCKET_IFNAME": "ib0"}, "ok", "most likely ib0"),
        ({"eth0": "10.0.0.1"}, {"NCCL_SOCKET_IFNAME": "ib0"}, "fail", "NCCL_SOCKET_IFNAME goes before"),
        ({"eth0": "10.0.0.1"}, {"NCCL_SOCKET_IFNAME": "=eth0"}, "ok", "eth0"),
    ],
)
def test_network(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    addresses: dict[str, str],
    environ: dict[str, str],
    level: str,
    told: str,
) -> None:
    monkeypatch.setattr(network, "addresses", lambda: addresses)
    found = only(network.network(around(tmp_path, {"proc/net/route": ROUTE}, environ=environ)))
    assert found.level == level
    assert told in found.meaning


@pytest.mark.parametrize(
    ("version", "level"), [((3, 10, 9), "fail"), ((3, 11, 4), "ok"), ((3, 12, 0), "ok"), ((3, 99, 0), "warn")]
)
def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], level: str) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    assert only(software.python(around(tmp_path))).level == level


def test_a_library_that_does_not_import_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch.__version__ in only(software.libraries(around(tmp_path))).found
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    found = only(software.libraries(around(tmp_path)))
    assert (found.what, found.level) == ("Arrow", "fail")


def test_extras_that_are_missing_are_no_fault_and_their_remedy_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requires = ["torch>=2.6", 'timm>=1.0; extra == "timm"', 'torchvision; extra == "timm"', 'x; extra == "test"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: requires)
    monkeypatch.setattr(extras, "_version", lambda library: None if library == "timm" else "1.2")
    found = {finding.what: finding for finding in extras.extras(around(tmp_path))}
    assert found["extra timm"].found == "without timm"
    assert found["extra timm"].meaning.endswith("pip install 'noisebench[timm]'")
    assert {finding.level for finding in found.values()} == {"ok"}
    assert "extra test" not in found


def test_plugins_that_do_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = EntryPoints(
        [
            EntryPoint("good", "json:loads", "noisebench.methods"),
            EntryPoint("bad", "no_such_module:x", "noisebench.backbones"),
            EntryPoint("other", "no_such_module:x", "console_scripts"),
        ]
    )
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda **which: entries.select(**which) if which else entries
    )
    found = list(software.plugins(around(tmp_path)))
    assert [(finding.level, finding.found.split()[0]) for finding in found] == [("warn", "bad"), ("ok", "good")]


def test_a_driver_without_a_torch_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert only(software.device(around(tmp_path / "a"))).found.startswith("CPU")
    found = only(software.device(around(tmp_path / "b", {"proc/driver/nvidia/version": "NVRM"})))
    assert (found.level, "install a torch for CUDA" in found.meaning) == ("warn", True)


@pytest.mark.parametrize(
    ("free", "capability", "level", "told"),
    [
        (70, (9, 0), "ok", "bfloat16"),
        (70, (7, 0), "warn", "training.precision=float32"),
        (10, (9, 0), "warn", "nvidia-smi"),
    ],
)
def test_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, capability: tuple[int, int], level: str, told: str
) -> None:
    answers = {
        "is_available": True,
        "device_count": 2,
        "mem_get_info": (free * GIB, 80 * GIB),
        "get_device_name": "Some GPU",
        "get_device_capability": capability,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)
    found = list(software.device(around(tmp_path)))
    assert [finding.what for finding in found] == ["GPU 0", "GPU 1"]
    assert {finding.level for finding in found} == {level}
    assert told in found[0].found + found[0].meaning


def test_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = write_faces(tmp_path / "faces")
    found = only(reading.reading(around(tmp_path, data=faces)))
    assert found.what == "reading"
    assert "training sees the 36 images" in found.meaning
    monkeypatch.setattr(reading, "_speeds", lambda *_, **__: (100.0, 5e3, 900.0))
    found = only(reading.reading(around(tmp_path, data=faces)))
    assert (found.level, "the disk is the brake" in found.meaning) == ("warn", True)
    assert list(reading.reading(around(tmp_path))) == []
    (faces / "train.idx").write_text("1\t0\nnonsense\n")
    found = only(reading.reading(around(tmp_path, data=faces)))
    assert (found.level, "data verify" in found.meaning) == ("fail", True)


def test_a_check_that_breaks_hinders_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (machine.memory, machine.open_files))
    found = doctor.examine(around(tmp_path))  # without /proc/meminfo
    assert [finding.what for finding in found] == ["memory", "open files"]
    assert (found[0].level, found[0].found.startswith("cannot be looked at")) == ("warn", True)


def test_the_command_prints_all_and_leaves_with_1_if_something_failed(tmp_path: Path) -> None:
    data = tmp_path / "nowhere"
    done = CliRunner().invoke(app, ["doctor", "--data", str(data), "--results", str(tmp_path), "--json"])
    findings = json.loads(done.output)
    assert done.exit_code == 1
    assert {"what", "level", "found", "meaning"} == set(findings[0])
    assert [finding["what"] for finding in findings if finding["level"] == "fail"] == ["reading"]
    plain = CliRunner().invoke(app, ["doctor", "--results", str(tmp_path)])
    assert plain.exit_code == 0
    assert "ok    Python: " in plain.output
