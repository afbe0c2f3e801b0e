"""Verification sets from lists of pairs and back."""

from __future__ import annotations

import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from datasets_tools.pack_bin import Packed, pack_bin, unpack_bin
from noisebench.cli import main
from noisebench.errors import FileError
from noisebench.formats import jpeg, verification_bin
from noisebench.formats.pairs_list import Pair, read_pairs


def photo(seed: int, size: int = 16) -> bytes:
    grey = np.random.default_rng(seed).integers(0, 256, dtype=np.uint8)
    return jpeg.encode(np.full((size, size, 3), grey))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, count in (("Ann_Lee", 3), ("Bo", 2)):
        (tmp_path / "lfw" / name).mkdir(parents=True)
        for number in range(1, count + 1):
            (tmp_path / "lfw" / name / f"{name}_{number:04d}.jpg").write_bytes(photo(hash_of(name, number)))
    return tmp_path / "lfw"


def hash_of(name: str, number: int) -> int:
    return 100 * len(name) + number


def write(folder: Path, text: str) -> Path:
    path = folder / "pairs.txt"
    path.write_text(text, encoding="utf-8")
    return path


LFW = "10\t300\nAnn_Lee\t1\t3\nBo\t1\t2\nAnn_Lee\t2\tBo\t1\n"
PLAIN = """# first second same
Ann_Lee/Ann_Lee_0001.jpg Ann_Lee/Ann_Lee_0003.jpg 1

Bo/Bo_0001.jpg\tBo/Bo_0002.jpg\t1
Ann_Lee/Ann_Lee_0002.jpg Bo/Bo_0001.jpg -1
"""


@pytest.mark.parametrize("text", [LFW, LFW.replace("\t", " "), LFW.removeprefix("10\t300\n"), PLAIN], ids=repr)
def test_both_kinds_of_list_give_the_images_and_answers(text: str, root: Path, tmp_path: Path) -> None:
    assert pack_bin(write(tmp_path, text), root, tmp_path / "x.bin") == Packed(3, 2, 5)
    wanted = [("Ann_Lee", 1), ("Ann_Lee", 3), ("Bo", 1), ("Bo", 2), ("Ann_Lee", 2), ("Bo", 1)]
    packed = verification_bin.read(tmp_path / "x.bin")
    assert packed.jpegs == [photo(hash_of(*image)) for image in wanted]
    assert packed.same.tolist() == [True, True, False]
    images, answers = pickle.loads((tmp_path / "x.bin").read_bytes())  # as InsightFace's evaluation reads it
    assert (images, answers) == (packed.jpegs, [True, True, False])


def test_names_with_spaces_need_tabs(root: Path, tmp_path: Path) -> None:
    (root / "Bo").rename(root / "Bo Lee")
    for number in (1, 2):
        (root / "Bo Lee" / f"Bo_000{number}.jpg").rename(root / "Bo Lee" / f"Bo Lee_000{number}.jpg")
    assert list(read_pairs(write(tmp_path, "Bo Lee\t1\t2\n"))) == [
        Pair(1, "Bo Lee/Bo Lee_0001", "Bo Lee/Bo Lee_0002", True, True)
    ]
    assert pack_bin(write(tmp_path, "Bo Lee\t1\t2\n"), root, tmp_path / "x.bin").num_images == 2


@pytest.mark.parametrize("shared", [True, False], ids=["images stored once", "images stored for each pair"])
def test_unpacked_and_packed_again_the_bytes_are_the_same(shared: bool, tmp_path: Path) -> None:
    photos = [photo(seed) for seed in range(4)]
    order = [0, 1, 2, 3, 0, 2, 1, 1]
    jpegs = [photos[place] if shared else bytes(bytearray(photos[place])) for place in order]
    verification_bin.write(tmp_path / "x.bin", jpegs, [True, False, False, True])
    unpacked = unpack_bin(tmp_path / "x.bin", tmp_path / "out")
    assert unpacked == Packed(4, 2, 4 if shared else 8)
    pack_bin(tmp_path / "out" / "pairs.txt", tmp_path / "out", tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == (tmp_path / "x.bin").read_bytes()


def test_real_photographs_keep_every_byte(lfw: Path, tmp_path: Path) -> None:
    whole = verification_bin.read(lfw / "lfw.bin")
    verification_bin.write(tmp_path / "x.bin", whole.jpegs[-200:], whole.same[-100:])
    unpack_bin(tmp_path / "x.bin", tmp_path / "out")
    pack_bin(tmp_path / "out" / "pairs.txt", tmp_path / "out", tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == (tmp_path / "x.bin").read_bytes()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "lists no pairs"),
        ("10 300\n", "lists no pairs"),
        ("Bo\t1\n", "line 1: expected 'name n1 n2'"),
        ("Bo 1 2\nBo 1 two 2 3\n", "line 2: expected"),
        ("a.jpg b.jpg 2\n", "line 1: expected"),
        ("Bo 1 2\nBo 1 7\n", "line 2: image 'Bo/Bo_0007': cannot be read: No such file"),
        ("Bo 1 2\n../secret.jpg Bo/Bo_0001.jpg 1\n", "line 2: image '../secret.jpg': .*leads out of"),
        ("/etc/passwd Bo/Bo_0001.jpg 1\n", "line 1: .*leads out of"),
        ("Bo/Bo_0001.jpg Bo 1\n", "line 1: image 'Bo': not a regular file"),
        ("Bo/Bo_0001.jpg large.jpg 0\n", "large.jpg': 32x32 pixels, the images before it have 16x16"),
        ("Bo/Bo_0001.jpg broken.jpg 0\n", "broken.jpg': "),
        ("Bo/Bo_0001.jpg nul\0.jpg 0\n", "nul.*cannot be read"),
    ],
)  # fmt: skip
def test_a_bad_list_is_told_by_line_and_nothing_is_written(text: str, match: str, root: Path, tmp_path: Path) -> None:
    (root / "large.jpg").write_bytes(photo(1, 32))
    (root / "broken.jpg").write_bytes(photo(1)[:100])
    with pytest.raises(FileError, match=match):
        pack_bin(write(tmp_path, text), root, tmp_path / "x.bin")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lfw", "pairs.txt"]


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_bytes(b"\xff\xfe\0")
    with pytest.raises(FileError, match=re.escape("pairs.txt: cannot be read")):
        pack_bin(tmp_path / "pairs.txt", tmp_path, tmp_path / "x.bin")


def test_from_the_command_line(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["noisebench", "data", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(str(caught.value.code))

    pairs = write(tmp_path, LFW)
    assert run("pack-bin", pairs, "--root", root, "--out", tmp_path / "x.bin") == 0
    assert "3 pairs, 2 of one identity, 5 images" in capsys.readouterr().out
    assert run("unpack-bin", tmp_path / "x.bin", "--out", tmp_path / "out") == 0
    assert run("unpack-bin", tmp_path / "x.bin", "--out", tmp_path / "out") == 2
    assert "already exists" in capsys.readouterr().err
    assert run("pack-bin", tmp_path / "none", "--root", root, "--out", tmp_path / "y.bin") == 2
    assert run("unpack-bin", pairs, "--out", tmp_path / "other") == 2
    assert capsys.readouterr().err.count("\n") == 2
