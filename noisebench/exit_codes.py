"""What a command's exit code tells a script."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1  # a cell failed, or a check found faults
    USER_ERROR = 2  # told in one line on stderr
    STOPPED = 75  # the same command goes on where this one stopped
