"""Verification sets: every way they have been pickled, every contradiction, and pickles that mean harm."""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import pickletools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebench.errors import FileError
from noisebench.formats import verification_bin

JPEGS = [b"\xff\xd8one\x00", b"two\n'\"\\", b"\x80three", b"four"]
SAME = [True, False]

ARRAYS: list[Callable[[], Any]] = [
    lambda: (JPEGS, SAME),
    lambda: [tuple(JPEGS), tuple(SAME)],
    lambda: (JPEGS, np.array(SAME)),
    lambda: (JPEGS, list(np.array(SAME))),
    lambda: ([np.frombuffer(jpeg, dtype=np.uint8) for jpeg in JPEGS], SAME),
    lambda: ([np.array(bytearray(jpeg), dtype=np.uint8).reshape(-1, 1) for jpeg in JPEGS], np.array(SAME)),
]


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "faces.bin"
    path.write_bytes(data)
    return path


def fault_of(folder: Path, data: bytes) -> FileError:
    path = saved(folder, data)
    with pytest.raises(FileError) as caught:
        verification_bin.read(path)
    assert caught.value.path == path
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("content", ARRAYS)
def test_every_protocol_and_form(tmp_path: Path, protocol: int, content: Callable[[], Any]) -> None:
    data = pickle.dumps(content(), protocol=protocol)
    found = verification_bin.read(saved(tmp_path, data))
    assert found.jpegs == JPEGS
    assert found.same.dtype == np.bool_
    assert found.same.tolist() == SAME
    assert found.name == "faces"
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert verification_bin.read(saved(tmp_path, pickletools.optimize(data))).jpegs == JPEGS


def test_byte_arrays(tmp_path: Path) -> None:
    data = pickle.dumps(([bytearray(jpeg) for jpeg in JPEGS], SAME), protocol=5)
    assert verification_bin.read(saved(tmp_path, data)).jpegs == JPEGS


def python2_array(dtype: bytes, data: bytes) -> bytes:
    """What Python 2 wrote for a NumPy array at protocol 2: its strings are bytes."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K"
        + bytes([len(data)])
        + b"\x85cnumpy\ndtype\nU\x02"
        + dtype
        + b"K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U"
        + bytes([len(data)])
        + data
        + b"tb"
    )


def test_python_2(tmp_path: Path) -> None:
    strings = b"(" + b"".join(b"U" + bytes([len(jpeg)]) + jpeg for jpeg in JPEGS) + b"l"
    arrays = b"(" + b"".join(python2_array(b"u1", jpeg) for jpeg in JPEGS) + b"l"
    for images in (strings, arrays):
        for same in (b"(\x88\x89l", b"(I01\nI00\nl", python2_array(b"b1", b"\x01\x00")):
            found = verification_bin.read(saved(tmp_path, b"\x80\x02" + images + same + b"\x86."))
            assert found.jpegs == JPEGS
            assert found.same.tolist() == SAME


def test_few_images_may_make_many_pairs(tmp_path: Path) -> None:
    images = [bytes([number]) * 300 for number in range(10)]
    pairs = [images[number] for first in range(100) for second in range(100) for number in (first % 10, second % 10)]
    verification_bin.write(tmp_path / "a.bin", pairs, [True] * 10_000)
    assert (tmp_path / "a.bin").stat().st_size < 100_000
    assert verification_bin.read(tmp_path / "a.bin").jpegs == pairs


def test_a_written_set_is_read_by_plain_pickle_and_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "faces.bin"
    verification_bin.write(path, JPEGS, np.array(SAME))
    jpegs, same = pickle.loads(path.read_bytes(), encoding="bytes")
    assert (jpegs, same) == (JPEGS, SAME)
    assert all(type(value) is bool for value in same)
    assert verification_bin.read(path).jpegs == JPEGS
    with pytest.raises(ValueError, match="3 images for 2 pairs"):
        verification_bin.write(path, JPEGS[:3], SAME)
    with pytest.raises(ValueError, match="0 images"):
        verification_bin.write(path, [], [])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ((JPEGS[:3], SAME), "3 images; expected two for each pair"),
        ((JPEGS, [True]), "1 answers for 2 pairs"),
        (([], []), "0 images"),
        ((JPEGS, [True, 1]), "answer 1 is int; expected bool"),
        ((JPEGS, [True, None]), "answer 1 is NoneType"),
        ((JPEGS, np.array([1, 0], dtype=np.uint8)), "array of uint8; expected bool"),
        ((["text", *JPEGS[1:]], SAME), "image 0 is str; expected bytes"),
        (([JPEGS, *JPEGS[1:]], SAME), "image 0 is list"),
        (([np.array([True]), *JPEGS[1:]], SAME), "image 0 is Array"),
        (JPEGS, "found something else"),
        ((JPEGS, SAME, SAME), "found something else"),
        (None, "found something else"),
        (b"bytes", "found something else"),
    ],
)
def test_what_is_no_verification_set_is_an_error(tmp_path: Path, content: Any, problem: str) -> None:
    assert problem in fault_of(tmp_path, pickle.dumps(content, protocol=4)).problem


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.bin: cannot be read: No such file"):
        verification_bin.read(tmp_path / "none.bin")


@pytest.mark.parametrize("protocol", range(6))
def test_every_truncation_is_one_clear_error(tmp_path: Path, protocol: int) -> None:
    data = pickle.dumps((JPEGS, np.array(SAME)), protocol=protocol)
    for end in range(0, len(data), 7):
        assert "expected a pickle" in fault_of(tmp_path, data[:end]).problem


@given(junk=st.binary(max_size=60), protocol=st.integers(0, 5), place=st.integers(0, 10_000))
def test_changed_bytes_give_a_set_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, protocol: int, place: int
) -> None:
    data = bytearray(pickle.dumps((JPEGS, np.array(SAME)), protocol=protocol))
    place %= len(data)
    data[place : place + len(junk)] = junk
    path = saved(tmp_path_factory.mktemp("junk"), bytes(data))
    with contextlib.suppress(FileError):
        verification_bin.read(path)


class Calls:
    """Pickles as a call of a function, which unpickling carries out."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def hostile_pickles(mark: Path) -> dict[str, bytes]:
    """Pickles that would make the file ``mark``, or worse, if anything of them were run."""
    order = f"open({str(mark)!r}, 'w').close()"
    call = b"(" + text(order) + b"tR."
    short_call = text(order) + b"\x85R."
    return {
        "os.system": b"cos\nsystem\n(" + text(f"touch {mark}") + b"tR.",
        "posix.system": b"cposix\nsystem\n(" + text(f"touch {mark}") + b"tR.",
        "builtins.eval": b"cbuiltins\neval\n" + call,
        "python 2's eval": b"\x80\x02c__builtin__\neval\n" + call,
        "builtins.exec by stack": b"\x80\x04" + text("builtins") + text("exec") + b"\x93" + short_call,
        "name through the memo": b"\x80\x04" + text("exec") + b"\x940" + text("builtins") + b"h\x00\x93" + short_call,
        "name through put and get": b"\x80\x04"
        + text("exec")
        + b"q\x05"
        + text("builtins")
        + b"h\x05\x93"
        + short_call,
        "admitted name, then another": b"cnumpy\nndarray\ncnumpy\nload\n(" + text(str(mark)) + b"tR.",
        "getattr chain": b"cbuiltins\ngetattr\n(cnumpy\nndarray\n" + text("tofile") + b"tR.",
        "dotted name": b"\x80\x04" + text("numpy") + text("ndarray.tofile") + b"\x93.",
        "numpy.load": b"cnumpy\nload\n(" + text(str(mark)) + b"tR.",
        "numpy.fromfile": b"cnumpy.core.multiarray\nfromfile\n(" + text(str(mark)) + b"tR.",
        "codecs.open": b"c_codecs\nopen\n(" + text(str(mark)) + text("w") + b"tR.",
        "inst": b"(" + text(order) + b"ibuiltins\nexec\n.",
        "obj": b"(cbuiltins\nexec\n" + text(order) + b"o.",
        "newobj": b"\x80\x02cnumpy\nndarray\n)\x81.",
        "extension": b"\x80\x02\x82\x01.",
        "persistent id": b"P" + str(mark).encode() + b"\n.",
        "binary persistent id": text(str(mark)) + b"Q.",
        "nested in the images": pickle.dumps(([Calls(exec, order), *JPEGS], SAME), protocol=4),
        "nested in the answers": pickle.dumps((JPEGS, [True, Calls(exec, order)]), protocol=2),
        "object array": pickle.dumps((JPEGS, np.array([True, None], dtype=object)), protocol=4),
        "array of numbers": pickle.dumps((JPEGS, np.array([1.0, 0.0])), protocol=4),
        "array with fields": pickle.dumps((JPEGS, np.zeros(2, dtype=[("same", "b1")])), protocol=4),
        "numpy number": pickle.dumps((JPEGS, [np.float64(1), np.float64(0)]), protocol=4),
        "function kept and called later": b"\x80\x04cposix\nsystem\n\x940h\x00" + text(f"touch {mark}") + b"\x85R.",
        "call behind a value thrown away": b"\x80\x04N0" + pickle.dumps(Calls(exec, order), protocol=4),
        "newobj with keywords": b"\x80\x04cbuiltins\nexec\n" + text(order) + b"\x85}\x92.",
        "next buffer": b"\x80\x05\x97.",
        "frozen set of calls": b"\x80\x04(" + pickle.dumps(Calls(exec, order), protocol=4)[2:-1] + b"\x91.",
        "dict": pickle.dumps({"jpegs": JPEGS}, protocol=4),
        "set": pickle.dumps({True}, protocol=4),
        "encode by another codec": b"c_codecs\nencode\n(" + text("x") + text("zip_codec") + b"tR.",
        "change of an admitted name": b"c_codecs\nencode\n(N(" + text("__defaults__") + b"Ntd\x86b.",
        "state for an admitted name": b"c_codecs\nencode\nNb.",
        "call of ndarray": b"cnumpy\nndarray\n(K\x05tR.",
        "array shape that lies": pickle.dumps((JPEGS, np.array([True])), protocol=2).replace(
            b"K\x01\x85", b"K\x63\x85"
        ),
    }


@pytest.mark.parametrize("name", hostile_pickles(Path("mark")))
def test_a_hostile_pickle_is_refused_and_nothing_of_it_runs(tmp_path: Path, name: str) -> None:
    mark = tmp_path / "mark"
    fault = fault_of(tmp_path, hostile_pickles(mark)[name])
    assert "nothing of it was run" in fault.problem
    assert "do not trust this file" in fault.remedy
    assert not mark.exists()


def test_the_hostile_pickles_are_real(tmp_path: Path) -> None:
    """The plain unpickler does run them, so that the test above can fail."""
    for name in ("os.system", "python 2's eval", "builtins.exec by stack", "inst", "obj", "nested in the answers"):
        mark = tmp_path / name.replace(" ", "_").replace("'", "_")
        pickle.loads(hostile_pickles(mark)[name])
        assert mark.exists(), name


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"cos\nsystem\n(tR.", "'os.system'"),
        (b"\x80\x04" + text("builtins") + text("eval") + b"\x93.", "'builtins.eval'"),
        (b"cos\nsystem\x1b[31m\n(tR.", r"'os.system\x1b[31m'"),
        (b"\x80\x04K\x05K\x06\x93.", "put together while it runs"),
    ],
)
def test_the_refused_name_is_told(tmp_path: Path, data: bytes, name: str) -> None:
    assert name in fault_of(tmp_path, data).problem


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.", "damaged or cut short"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"x.", "damaged or cut short"),
        (b"\x80\x02NT" + struct.pack("<i", 2**31 - 1) + b"x.", "damaged or cut short"),
        (b"\x80\x02]r" + struct.pack("<I", 2**32 - 1) + b".", "memo number"),
        (b"]p4000000000\n.", "memo number"),
        (b"]" * 100_000 + b".", "too many for its size"),
        (b"]" + b"2" * 100 + b"l" * 100 + b".", "opcode DUP"),
        (b"(" * 2_000_000 + b"t" * 2_000_000 + b".", "too many for its size"),
        (b"(" * 900 + b"t" * 90 + b".", "expected a pickle"),
        (b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b"N.", "expected a pickle"),
        (b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.", "damaged or cut short"),
        (b"\x80\x04X" + struct.pack("<I", 2**32 - 1) + b"x.", "damaged or cut short"),
        (
            b"("
            + b"c_codecs\nencode\nq\x00"
            + b"X\x00\x10\0\0"
            + b"a" * 4096
            + b"q\x01"
            + text("latin1")
            + b"q\x02"
            + b"h\x00h\x01h\x02\x86R" * 50
            + b"l.",
            "more bytes than the file has",
        ),
    ],
)
def test_lengths_that_lie_take_no_memory(tmp_path: Path, data: bytes, problem: str) -> None:
    assert problem in fault_of(tmp_path, data).problem


def test_the_real_set(lfw: Path) -> None:
    found = verification_bin.read(lfw / "lfw.bin")
    assert (found.name, len(found.jpegs), len(found.same), int(found.same.sum())) == ("lfw", 6000, 3000, 1500)
    jpegs, same = pickle.loads((lfw / "lfw.bin").read_bytes(), encoding="bytes")
    assert found.jpegs == jpegs
    assert found.same.tolist() == same
