"""Our files and pixels against those of real MXNet 1.9.1, which lives in an environment of its own."""

from __future__ import annotations

import itertools
import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from datasets_tools.make_noise import make_manifest
from datasets_tools.materialize import materialize
from noisebench.formats import jpeg, recordio, verification_bin
from noisebench.formats.face_set import FaceSet, write_face_set
from noisebench.noise.recipe import load_recipe
from tests.tiny import write_faces

REPOSITORY = Path(__file__).resolve().parents[2]
MXNET_PYTHON = Path(os.environ.get("NOISEBENCH_MXNET_PYTHON", REPOSITORY / ".venv-mxnet" / "bin" / "python"))
MAGIC = bytes.fromhex("0a23d7ce")
SAMPLINGS = (0x411111, 0x221111, 0x211111, 0x111111)

Ask = Callable[[str, object], Any]

pytestmark = pytest.mark.skipif(
    not MXNET_PYTHON.exists(), reason=f"no MXNet at {MXNET_PYTHON}: 'make mxnet-env' sets it up"
)


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Ask MXNet's side something; its files are in ``tmp_path``."""

    def ask_mxnet(verb: str, question: object) -> Any:
        (tmp_path / "question.pickle").write_bytes(pickle.dumps(question))
        command = [str(MXNET_PYTHON), "-m", "tests.interop.mxnet_side", verb, str(tmp_path)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return pickle.loads((tmp_path / "answer.pickle").read_bytes())

    return ask_mxnet


def payloads() -> list[bytes]:
    """Payloads of every length modulo four, with the magic at every place, more than once, and nearly."""
    rng = np.random.Generator(np.random.Philox(7))
    pieces = [MAGIC, MAGIC[:2], MAGIC[1:], b"\0", b"abcd", b"\xff" * 9]
    mixed = [b"".join(pieces[piece] for piece in rng.integers(0, len(pieces), size=count)) for count in range(60)]
    shifted = [
        b"x" * before + MAGIC * times + b"y" * after for before in range(5) for times in (1, 2) for after in (0, 3)
    ]
    return [b"", b"a", b"ab", b"abc", b"abcd", bytes(1 << 16), *mixed, *shifted, rng.bytes(9999)]


def varied_jpegs() -> list[bytes]:
    """Noise, gradients and greys in several sizes, qualities, subsamplings, progressive ones, and turned by EXIF."""
    noise = np.random.Generator(np.random.Philox(8)).integers(0, 256, (112, 112, 3)).astype(np.uint8)
    down, right = np.mgrid[:112, :112]
    gradient = np.stack([down * 2, right * 2, down + right], axis=-1).astype(np.uint8)
    images = []
    for pixels in (noise, gradient, noise[:37, :55], gradient[:1, :1], noise[:, :, 0]):
        for quality, sampling, progressive in itertools.product((10, 75, 100), SAMPLINGS, (0, 1)):
            options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
            options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
            images.append(cv2.imencode(".jpg", pixels, options)[1].tobytes())
    quarter_turn = bytes.fromhex("ffe1 0022 457869660000 4d4d002a00000008 0001 0112 0003 00000001 00060000 00000000")
    upright = jpeg.encode(gradient[:60])
    return [*images, *(upright[:place] + quarter_turn + upright[place:] for place in (2, 20))]


def test_the_same_input_gives_the_same_files(tmp_path: Path, ask: Ask) -> None:
    numbered = list(zip([5, 3, 0, 2**40, *range(100, 10_000)], payloads(), strict=False))
    ask("write", numbered)
    with recordio.RecordWriter(tmp_path / "ours.rec") as writer:
        for key, payload in numbered:
            writer.write(key, payload)
    assert (tmp_path / "ours.rec").read_bytes() == (tmp_path / "mxnet.rec").read_bytes()
    assert (tmp_path / "ours.idx").read_bytes() == (tmp_path / "mxnet.idx").read_bytes()

    keys = [key for key, _ in numbered]
    expected = [payload for _, payload in numbered]
    assert ask("read", keys) == expected
    reader = recordio.RecordReader(tmp_path / "mxnet.rec")
    assert reader.keys.tolist() == keys
    assert [bytes(reader.read(key)) for key in keys] == expected


def test_the_same_headers(ask: Ask) -> None:
    magic_number = int.from_bytes(MAGIC * 2, "little")
    headers = [
        recordio.Header(0, 3.0, 1),
        recordio.Header(0, 7, 2**63),
        recordio.Header(0, 0.1, magic_number),
        recordio.Header(1, np.array([4], dtype=np.float32), 1),
        recordio.Header(3, np.array([1, 2.5, 3e9], dtype=np.float32), 5),
    ]
    question = [(np.asarray(header.label).tolist(), header.id, b"body") for header in headers]
    ours = [recordio.pack(header, b"body") for header in headers]
    assert ask("pack", question) == ours
    for header, payload in zip(headers, ours, strict=True):
        found, body = recordio.unpack(payload)
        np.testing.assert_array_equal(found.label, np.float32(header.label))
        assert (found.flag, found.id, bytes(body)) == (header.flag, header.id, b"body")


def same_pixels(ask: Ask, images: list[bytes]) -> None:
    for number, (image, (shape, pixels)) in enumerate(zip(images, ask("decode", images), strict=True)):
        ours = jpeg.decode(image)
        assert ours.shape == shape, f"image {number}"
        assert ours.tobytes() == pixels, f"image {number}"


def test_the_same_pixels(ask: Ask) -> None:
    same_pixels(ask, varied_jpegs())


def test_the_same_pixels_of_photographs(ask: Ask, lfw: Path) -> None:
    same_pixels(ask, verification_bin.read(lfw / "lfw.bin").jpegs[::10])


def test_our_set_through_both_readers(tmp_path: Path, ask: Ask) -> None:
    images = [image for image in varied_jpegs() if jpeg.size_of(image) == (112, 112)]
    write_face_set(tmp_path / "set", [(image, i // 5) for i, image in enumerate(images)], 20, (112, 112))
    native, through_mxnet = ask("face_sets", str(tmp_path / "set"))
    assert native == through_mxnet
    assert native[2] == FaceSet.open(tmp_path / "set").fingerprint


@pytest.mark.parametrize("name", ["", "outliers"])
def test_real_sets_through_both_readers(ask: Ask, lfw: Path, name: str) -> None:
    native, through_mxnet = ask("face_sets", str(lfw / name))
    assert native == through_mxnet
    faces = FaceSet.open(lfw / name)
    assert native[:3] == (faces.keys.tolist(), faces.labels.tolist(), faces.fingerprint)
    keys = faces.keys[:: len(faces.keys) // 200].tolist()
    assert native[3] == [faces.image(key).tobytes() for key in keys]


def test_damage_is_named_through_mxnet_too(tmp_path: Path, ask: Ask) -> None:
    image = jpeg.encode(np.zeros((8, 8, 3), dtype=np.uint8))
    for name in ("magic", "image", "key"):
        write_face_set(tmp_path / name, [(image, 0), (image[:-2], 0)], 1, (8, 8))
    rec = tmp_path / "magic" / "train.rec"
    rec.write_bytes(b"\0" + rec.read_bytes()[1:])
    messages = ask("faults", {"magic": 1, "image": 2, "key": 99})
    for message, problem in zip(messages, ["record 1: MXNet cannot read it", "cut short", "record 99"], strict=True):
        assert problem in message
        assert "\n" not in message


def test_torch_keeps_its_threads(tmp_path: Path, ask: Ask) -> None:
    write_face_set(tmp_path, [(jpeg.encode(np.zeros((8, 8, 3), dtype=np.uint8)), 0)], 1, (8, 8))
    assert ask("threads", 2) == 2


def test_a_materialised_set_as_other_code_reads_it(tmp_path: Path, ask: Ask) -> None:
    folder = write_faces(tmp_path / "faces")
    base, outliers = FaceSet.open(folder), FaceSet.open(folder / "outliers")
    manifest = make_manifest(load_recipe("c20o20"), base, outliers, seed=0)
    materialize(manifest, base, outliers, tmp_path / "noisy")
    images, ranges = ask("insightface", str(tmp_path / "noisy"))
    rows = pq.read_table(tmp_path / "noisy" / "rows.parquet").to_pydict()
    assert [key for key, *_ in images] == rows["key"]
    for row, (_, label, image, shape) in zip(rows["row"], images, strict=True):
        source = outliers if manifest.source[row] else base
        assert (label, image) == (manifest.label[row], bytes(source.jpeg(int(manifest.source_index[row]))))
        assert shape == (*base.image_size, 3)
    for label, (first, end) in enumerate(ranges):
        assert [key for key, given, *_ in images if given == label] == list(range(first, end))
    native, through_mxnet = ask("face_sets", str(tmp_path / "noisy"))
    assert native == through_mxnet
