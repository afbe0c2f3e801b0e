"""What a machine offers a bench, and what is in its way: each check looks at one thing and says what it means.

A check is a function from `Surroundings` to findings; it stands in ``CHECKS``, and nothing else has to be edited. What
the kernel tells is read below ``Surroundings.root``, so that a test can show it another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from noisebench.doctor import extras, machine, network, reading, software
from noisebench.doctor.finding import Finding as Finding
from noisebench.doctor.finding import Surroundings as Surroundings

CHECKS: tuple[Callable[[Surroundings], Iterable[Finding]], ...] = (
    software.python,
    software.libraries,
    extras.extras,
    software.plugins,
    software.device,
    machine.cores,
    machine.memory,
    machine.disk,
    machine.shared_memory,
    machine.open_files,
    network.network,
    reading.reading,
)


def examine(surroundings: Surroundings) -> list[Finding]:
    """The findings of all checks. One that breaks is a finding, too, and hinders no other."""
    findings: list[Finding] = []
    for check in CHECKS:
        try:
            findings += check(surroundings)
        except Exception as error:  # whatever is broken here is what a doctor is called for
            what = check.__name__.replace("_", " ")
            findings.append(Finding(what, "warn", f"cannot be looked at: {error}", "the other findings stand"))
    return findings
