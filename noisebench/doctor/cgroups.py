"""Limits that a container, a Slurm job or a service sets: those of the control group and of all that it is in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from noisebench.doctor.finding import Surroundings

_NO_LIMIT = 1 << 60  # version 1 says a number near 2^63


def core_limit(surroundings: Surroundings) -> float | None:
    """Cores' worth of time a second that may be used, or None for no limit."""
    limits = []
    for text in _files(surroundings, "cpu", "cpu.max"):
        quota, _, period = text.partition(" ")
        if quota.isdigit() and period.strip().isdigit():
            limits.append(int(quota) / int(period))
    quotas = _files(surroundings, "cpu", "cpu.cfs_quota_us")
    for quota, period in zip(quotas, _files(surroundings, "cpu", "cpu.cfs_period_us"), strict=False):
        if quota.strip().isdigit() and int(period) > 0:  # -1: none
            limits.append(int(quota) / int(period))
    return min(limits, default=None)


def memory_limit(surroundings: Surroundings) -> int | None:
    """Bytes of memory that may be used, or None for no limit."""
    texts = [*_files(surroundings, "memory", "memory.max"), *_files(surroundings, "memory", "memory.limit_in_bytes")]
    limits = [int(text) for text in texts if text.strip().isdigit()]
    return min((limit for limit in limits if limit < _NO_LIMIT), default=None)


def _files(surroundings: Surroundings, controller: str, name: str) -> Iterator[str]:
    """What a file says in this process's group and in every group around it, innermost first."""
    for line in surroundings.kernel_file("proc", "self", "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        group = PurePosixPath(path.strip().lstrip("/"))
        for folder in (group, *group.parents):
            text = surroundings.kernel_file("sys", "fs", "cgroup", controller if controllers else "", str(folder), name)
            if text:
                yield text
