"""Cores, memory, disk, shared memory and open files."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator

from noisebench.doctor.cgroups import core_limit, memory_limit
from noisebench.doctor.finding import GIB, Finding, Surroundings, gib

LITTLE_MEMORY, TOO_LITTLE_MEMORY = 4 * GIB, 1 * GIB
LITTLE_DISK, TOO_LITTLE_DISK = 10 * GIB, GIB // 10
LITTLE_SHARED_MEMORY = GIB // 2  # a container has 64 MiB unless told otherwise
FEW_FILES = 1024
NETWORK_FILE_SYSTEMS = ("nfs", "lustre", "cifs", "smb", "ceph", "beegfs", "gpfs", "fuse.sshfs")


def cores(surroundings: Surroundings) -> Iterator[Finding]:
    """Cores that this process may use, by affinity and by the limit of its control group."""
    bound, limit = len(os.sched_getaffinity(0)), core_limit(surroundings)
    found = f"{bound} of the machine's {os.cpu_count()}"
    threads = surroundings.environ.get("OMP_NUM_THREADS")
    if threads:
        found += f", OMP_NUM_THREADS={threads}"
    if limit is not None and limit < bound:
        meaning = f"a bench would start {bound} threads on {limit:g} cores' time: say --cores {max(1, int(limit))}"
        yield Finding("cores", "warn", f"{found}; limited to {limit:g} cores' time", meaning)
    else:
        yield Finding("cores", "ok", found, "the runs of a bench share them (--jobs, --nproc, --cores)")


def memory(surroundings: Surroundings) -> Iterator[Finding]:
    """Memory that is free, and the limit of the control group."""
    pairs = (line.split(":") for line in surroundings.kernel_file("proc", "meminfo").splitlines() if ":" in line)
    sizes = {name: int(value.split()[0]) * 1024 for name, value in pairs}
    limit = memory_limit(surroundings)
    free = min(sizes["MemAvailable"], limit or sizes["MemAvailable"])
    found = f"{gib(sizes['MemAvailable'])} free of {gib(sizes['MemTotal'])}"
    if limit is not None and limit < sizes["MemTotal"]:
        found += f"; limited to {gib(limit)}"
    if free < TOO_LITTLE_MEMORY:
        yield Finding("memory", "fail", found, "too little to train anything: free some, or ask for more")
    elif free < LITTLE_MEMORY:
        yield Finding("memory", "warn", found, "enough for one run of the suite 'synth'; --memory keeps runs within it")
    else:
        yield Finding("memory", "ok", found, "'noisebench bench --dry-run' says what a bench would take")


def disk(surroundings: Surroundings) -> Iterator[Finding]:
    """Room in the results folder, and whether it can be written to and locked."""
    place = surroundings.results.absolute()
    folder = next(folder for folder in (place, *place.parents) if folder.exists())
    free, kind = shutil.disk_usage(folder).free, _file_system(surroundings, str(folder))
    found = f"{gib(free)} free for {surroundings.results}" + (f", {kind}" if kind else "")
    if not os.access(folder, os.W_OK):
        yield Finding("disk", "fail", f"{folder} cannot be written to", "name another folder with --results")
    elif free < TOO_LITTLE_DISK:
        yield Finding("disk", "fail", found, "too little for one run: free some, or name another folder with --results")
    elif free < LITTLE_DISK:
        yield Finding(
            "disk", "warn", found, "checkpoints of large backbones need more: see 'noisebench bench --dry-run'"
        )
    elif kind.startswith(NETWORK_FILE_SYSTEMS):
        meaning = "over the network: runs are locked by flock, which the mount has to pass on; see docs/running.md"
        yield Finding("disk", "ok", found, meaning)
    else:
        yield Finding("disk", "ok", found, "records, logs, checkpoints and weights go there")


def shared_memory(surroundings: Surroundings) -> Iterator[Finding]:
    """The file system that processes on one host exchange tensors through."""
    folder = surroundings.root / "dev" / "shm"
    if not folder.is_dir():
        meaning = "several processes on GPUs need it (--nproc): mount a tmpfs there"
        yield Finding("shared memory", "warn", "there is no /dev/shm", meaning)
        return
    free = shutil.disk_usage(folder).free
    if free < LITTLE_SHARED_MEMORY:
        meaning = "several processes on GPUs exchange gradients through it (--nproc): docker run --shm-size=8g"
        yield Finding("shared memory", "warn", f"{gib(free)} free in /dev/shm", meaning)
    else:
        yield Finding("shared memory", "ok", f"{gib(free)} free in /dev/shm", "enough for several processes (--nproc)")


def open_files(_: Surroundings) -> Iterator[Finding]:
    """How many files a process may have open."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{limit:,} at once" if limit != resource.RLIM_INFINITY else "any number at once"
    if limit != resource.RLIM_INFINITY and limit < FEW_FILES:
        possible = FEW_FILES if most == resource.RLIM_INFINITY else min(most, FEW_FILES)
        meaning = f"several processes, and sets joined of many parts, may need more: ulimit -n {possible}"
        yield Finding("open files", "warn", found, meaning)
    else:
        yield Finding("open files", "ok", found, "enough for several processes and joined sets")


def _file_system(surroundings: Surroundings, folder: str) -> str:
    """The kind of file system that a folder is on."""
    mounts = (line.split() for line in surroundings.kernel_file("proc", "mounts").splitlines())
    around = [(len(place), kind) for _, place, kind, *_ in mounts if f"{folder}/".startswith(f"{place.rstrip('/')}/")]
    return max(around, default=(0, ""))[1]
