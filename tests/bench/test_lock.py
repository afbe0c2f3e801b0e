"""One bench a run: the lock is seen by others, kept by children, and gone with its holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from noisebench.bench.lock import LOCK_FILE, RunIsHeld, hold, holder, is_held

HOLD = "import sys, time; from pathlib import Path; from noisebench.bench.lock import hold\n"
HOLD += "with hold(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"


def test_a_second_one_is_told_who_holds_it(tmp_path: Path) -> None:
    here = f"process {os.getpid()} on {os.uname().nodename}"
    with hold(tmp_path), pytest.raises(RunIsHeld, match=here), hold(tmp_path):
        pass
    assert not is_held(tmp_path)
    with hold(tmp_path):
        assert is_held(tmp_path)


def test_it_is_free_again_when_its_holder_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    found = holder(tmp_path)
    assert found is not None
    assert found.pid == process.pid
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert holder(tmp_path) is None
    with hold(tmp_path):  # what the dead one wrote into the file does not block
        pass


def test_a_child_keeps_it_after_its_parent_has_let_go(tmp_path: Path) -> None:
    with hold(tmp_path) as descriptor:
        child = subprocess.Popen(["sleep", "600"], pass_fds=(descriptor,))
    assert is_held(tmp_path)
    child.kill()
    child.wait()
    assert not is_held(tmp_path)


def test_a_lock_file_without_a_holder_or_with_nonsense_in_it_blocks_nobody(tmp_path: Path) -> None:
    assert holder(tmp_path / "nowhere") is None
    (tmp_path / LOCK_FILE).write_text("nonsense")
    assert holder(tmp_path) is None
    with hold(tmp_path):
        (tmp_path / LOCK_FILE).write_text("nonsense")
        with pytest.raises(RunIsHeld, match="another process"), hold(tmp_path):
            pass
