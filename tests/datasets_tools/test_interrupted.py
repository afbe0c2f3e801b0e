"""Ctrl-C in the middle of each verb that works long: code 75, one line, nothing half-made; the same command goes on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from datasets_tools import centres, export, growing_set, materialize, neighbours, overlap, pack_bin
from datasets_tools.checking import face_set
from datasets_tools.checking.face_set import FaceSetChecker
from noisebench import backbones
from noisebench.cli import main
from noisebench.files import write_text
from noisebench.formats.face_set import FaceSet
from noisebench.formats.recordio import RecordWriter
from noisebench.models.model_file import save_model
from tests.tiny import IDENTITIES, IMAGES, SIZE, write_faces

Interrupted = tuple[object, str, int]
"""What is called again and again, and at which call Ctrl-C is pressed."""

VERBS: dict[str, tuple[str, list[Interrupted], set[str]]] = {
    "faces": (
        "faces OUT --identities 2 --images 4 --pairs 20 --image-size 32 --workers 1",
        [(RecordWriter, "write", 2), (RecordWriter, "write", 150)],
        {"OUT.part"},
    ),
    "import": ("import images --out OUT", [(RecordWriter, "write", 9)], {"OUT.part"}),
    "export of images": (
        "export c20o20.parquet --form images --data faces --out OUT",
        [(Path, "write_bytes", 9)],
        {"OUT.part"},
    ),
    "export of lists": (
        "export c20o20.parquet --form boundaryface --out OUT",
        [(export, "image_paths", 2)],
        set(),
    ),
    "export of a list": ("export c20o20.parquet --form lst --out OUT", [(export, "image_paths", 2)], set()),
    "materialize": (
        "materialize c20o20.parquet --data faces --out OUT",
        [(materialize, "_index_lines", 2), (materialize, "write_ranges", 1), (materialize, "_write_rows", 1)],
        {"OUT.part"},
    ),
    "verify": ("verify copy --workers 1", [(FaceSetChecker, "check", 3)], {"copy/.train.verify"}),
    "repair": (
        "verify copy --workers 1 --repair OUT",
        [(FaceSetChecker, "check", 3), (RecordWriter, "write", 9), (growing_set, "write_ranges", 1)],
        {"copy/.train.verify", "OUT.part"},
    ),
    "centres": (
        "centres --data faces --checkpoint model.pt --out OUT",
        [(FaceSet, "read_images", 2), (np, "save", 3)],
        {"OUT.part"},
    ),
    "overlap": (
        "overlap faces faces --embeddings vectors.npy vectors.npy --out OUT",
        [(overlap, "mutual_nearest", 1)],
        set(),
    ),
    "pack-bin": ("pack-bin pairs/pairs.txt --root pairs --out OUT", [(pack_bin, "_read", 9)], set()),
    "unpack-bin": ("unpack-bin faces/unseen.bin --out OUT", [(Path, "write_bytes", 9)], set()),
    "noise": (
        "noise hard.yaml --data faces --centres vectors.npy --out OUT",
        [(neighbours, "_nearest", 1), (pq, "write_table", 1)],
        set(),
    ),
}


def run(arguments: str) -> int:
    """Run ``noisebench data`` as its user does; the exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["noisebench", "data", *arguments.split()])
        with pytest.raises(SystemExit) as caught:
            main()
    return int(str(caught.value.code))


@pytest.fixture(autouse=True)
def same_handler() -> Iterator[None]:
    """Have the command line's handler of SIGTERM end with the test."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def little_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have everything done in small parts, and saved after each."""
    monkeypatch.setattr(growing_set, "SECONDS_BETWEEN_SAVES", -1.0)
    monkeypatch.setattr(centres, "SECONDS_BETWEEN_SAVES", -1.0)
    monkeypatch.setattr(centres, "IMAGES_AT_ONCE", 7)
    monkeypatch.setattr(export, "_ROWS_AT_ONCE", 8)
    monkeypatch.setattr(face_set, "RECORDS_A_BLOCK", 8)
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the commands above read."""
    folder = tmp_path_factory.mktemp("inputs")
    write_faces(folder / "faces")
    write_faces(folder / "copy")
    torch.manual_seed(0)
    network = backbones.create("small_ir", embedding_size=16, image_size=(SIZE, SIZE))
    save_model(folder / "model.pt", network, name="small_ir", embedding_size=16, image_size=(SIZE, SIZE))
    np.save(folder / "vectors.npy", np.random.default_rng(0).standard_normal((IDENTITIES, 16)))
    write_text(folder / "hard.yaml", "closed: {rate: 0.5, targets: hard, neighbours: 2}")
    for command in (
        f"noise c20o20 --data {folder}/faces --out {folder}/c20o20.parquet",
        f"export {folder}/faces --form images --out {folder}/images",
        f"unpack-bin {folder}/faces/unseen.bin --out {folder}/pairs",
    ):
        assert run(command) == 0
    (folder / "images" / "manifest.parquet").unlink()
    return folder


def interrupt(patch: pytest.MonkeyPatch, owner: Any, name: str, call: int) -> None:
    """Press Ctrl-C at the beginning of this call of a function."""
    original, calls = getattr(owner, name), iter(range(1, call))

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    patch.setattr(owner, name, interrupted)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if ".part/" not in f"{path}"}


def contents(path: Path) -> dict[str, bytes]:
    found = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {str(file.relative_to(path)): file.read_bytes() for file in found}


@pytest.mark.parametrize("verb", VERBS)
def test_the_same_command_goes_on(
    verb: str,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command, interruptions, kept = VERBS[verb]
    monkeypatch.chdir(inputs)
    assert run(command.replace("OUT", str(tmp_path / "whole"))) == 0
    before = files(inputs)
    (tmp_path / "trial").mkdir()
    command = command.replace("OUT", f"{tmp_path}/trial/OUT")
    for owner, name, call in interruptions:
        with monkeypatch.context() as patch:
            interrupt(patch, owner, name, call)
            capsys.readouterr()
            assert run(command) == 75
        assert capsys.readouterr().err == "noisebench: stopped; the same command goes on from here\n"
        assert (files(inputs) - before) | files(tmp_path / "trial") <= kept
    assert run(command) == 0
    assert contents(tmp_path / "trial" / "OUT") == contents(tmp_path / "whole")
    assert files(inputs) == before


@pytest.mark.parametrize(
    ("command", "owner", "name", "call", "total"),
    [
        ("verify copy --workers 1 --repair", RecordWriter, "write", 20, IDENTITIES * IMAGES + IDENTITIES + 1),
        ("centres --data faces --checkpoint model.pt --out", FaceSet, "read_images", 4, -(-IDENTITIES * IMAGES // 7)),
    ],
)
def test_what_is_done_is_not_done_again(
    command: str,
    owner: object,
    name: str,
    call: int,
    total: int,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a stop no block is checked again, no image copied and none embedded: of all calls only the rest is left."""
    monkeypatch.chdir(inputs)
    with monkeypatch.context() as patch:
        interrupt(patch, owner, name, call)
        assert run(f"{command} {tmp_path}/out") == 75
    interrupt(monkeypatch, FaceSetChecker, "check", 1)
    interrupt(monkeypatch, owner, name, total - (call - 1) + 1)
    assert run(f"{command} {tmp_path}/out") == 0


def test_a_request_to_end_is_as_ctrl_c(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(inputs)

    def asked_to_end(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(FaceSetChecker, "check", asked_to_end)
    assert run("verify copy --workers 1") == 75
    write_text(inputs / "copy" / ".train.verify", "")
    monkeypatch.undo()
    assert run(f"verify {inputs / 'copy'} --workers 1") == 0
