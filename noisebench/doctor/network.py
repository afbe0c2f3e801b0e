"""Network interfaces, for runs on several hosts."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from noisebench.bench.interfaces import addresses
from noisebench.doctor.finding import Finding, Surroundings

VARIABLES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def network(surroundings: Surroundings) -> Iterator[Finding]:
    """The interface that several hosts would meet by: the one that a variable names, or the one that leads out."""
    found = {name: address for name, address in addresses().items() if not address.startswith("127.")}
    text = ", ".join(f"{name} {address}" for name, address in found.items()) or "none but the loopback"
    for variable in VARIABLES:
        named = surroundings.environ.get(variable, "").lstrip("=^")  # NCCL's marks: just this one, all but this one
        wrong = [
            name for name in named.split(",") if name and not any(real.startswith(name) for real in (*found, "lo"))
        ]
        if wrong:
            meaning = f"no interface here is called so, and {variable} goes before noisebench's choice: unset it"
            yield Finding("network", "fail", f"{variable}={named}, but there are {text}", meaning)
            return
    if not found:
        yield Finding("network", "ok", text, "runs stay on this host (--nnodes 1)")
        return
    chosen = [surroundings.environ[variable] for variable in VARIABLES if surroundings.environ.get(variable)]
    way = chosen[0] if chosen else _way_out(surroundings) or next(iter(found))
    meaning = f"several hosts (--nnodes) meet over the one that leads to --rendezvous, here most likely {way}"
    yield Finding("network", "ok", f"{text}; this host is {socket.gethostname()}", meaning)


def _way_out(surroundings: Surroundings) -> str | None:
    """The interface of the default route."""
    for line in surroundings.kernel_file("proc", "net", "route").splitlines()[1:]:
        name, destination, *_ = line.split()
        if destination == "00000000":
            return name
    return None
