"""Files of ``torch.save``: read as torch reads them; refused, with nothing run and no memory spent, when hostile."""

from __future__ import annotations

import collections
import copy
import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from noisebench.errors import FileError
from noisebench.formats import tensor_pickle
from noisebench.formats.tensor_pickle import DTYPES, StoredTensor
from noisebench.formats.torch_archive import TorchArchive, tensors_in
from tests.damage import damages

MOST_MEMORY = 8 << 20


def saved(content: object, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def read(path: Path) -> dict[str, Tensor]:
    with TorchArchive(path) as archive:
        stored = tensors_in(archive.content)
        assert stored is not None
        return archive.tensors(stored)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_every_tensor_is_as_torch_reads_it(tmp_path: Path, protocol: int) -> None:
    numbers = torch.arange(24).reshape(2, 3, 4)
    content: dict[str, Tensor] = {name: (numbers % 2 * 3).to(getattr(torch, name)) for name in DTYPES.values()}
    shared = torch.rand(5, 6, generator=torch.Generator().manual_seed(0))
    content |= {
        "whole": shared,
        "part": shared[1:4, ::2],
        "turned": shared.T,
        "one": torch.tensor(7),
        "none": shared[:0],
    }
    content |= {
        "learned": torch.nn.Parameter(shared + 1),
        "last": torch.rand(1, 3, 4, 4).contiguous(memory_format=torch.channels_last),
    }
    path = tmp_path / "state.pt"
    path.write_bytes(saved(collections.OrderedDict(content), pickle_protocol=protocol))
    found = read(path)
    expected = torch.load(path, weights_only=True) if protocol == 2 else content  # the only one that torch reads so
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name
    assert found["whole"].data_ptr() == found["turned"].data_ptr()


def test_what_a_training_library_left_stays_closed(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    extras = {
        "args": Namespace(lr=0.1),
        "steps": collections.Counter([1, 1]),
        "place": Path("a"),
        "on": torch.device("cpu"),
        "ids": {1},
    }
    path.write_bytes(saved({"epoch": 3, "hyper": {"lr": 0.1, "names": ("a", None, True)}, **extras}))
    with TorchArchive(path) as archive:
        content = archive.content
    assert {key: content[key] for key in ("epoch", "hyper")} == {
        "epoch": 3,
        "hyper": {"lr": 0.1, "names": ("a", None, True)},
    }
    assert all(isinstance(content[key], tensor_pickle.Closed) for key in extras)


class Runs:
    """Makes a folder when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def archive(pickled: bytes, *, compression: int = zipfile.ZIP_STORED, **entries: bytes) -> bytes:
    """An archive as torch's, of any content; entries besides are named with __ for /."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as file:
        file.writestr("m/data.pkl", pickled)
        for name, data in entries.items():
            file.writestr("m/" + name.replace("__", "/"), data)
    return stream.getvalue()


def plain(value: object) -> bytes:
    """The opcodes that push a value."""
    return pickle.dumps(value, protocol=2)[2:-1]


def tensor(
    shape: object = (2,),
    stride: object = (1,),
    offset: int = 0,
    count: int = 2,
    key: str = "0",
    kind: str = "FloatStorage",
) -> bytes:
    """A pickle of one tensor in a mapping, as torch writes it, of any numbers."""
    storage = (
        b"(" + plain("storage") + b"ctorch\n" + kind.encode() + b"\n" + plain(key) + plain("cpu") + plain(count) + b"tQ"
    )
    arguments = b"(" + storage + plain(offset) + plain(shape) + plain(stride) + b"\x89" + b"}" + b"t"
    return b"\x80\x02}" + plain("w") + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"Rs."


def repeated_entries() -> bytes:
    """A directory that names the same bytes a thousand times."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("m/data.pkl", tensor())
        file.writestr("m/data/0", bytes(100_000))
        for number in range(1000):
            entry = copy.copy(file.filelist[-1])
            entry.filename = f"m/data/{number + 1}"
            file.filelist.append(entry)
    return stream.getvalue()


def changed(data: bytes, place: int, new: bytes) -> bytes:
    place %= len(data)
    return data[:place] + new + data[place + len(new) :]


def damaged_numbers() -> bytes:
    data = archive(tensor(), data__0=b"NUMBERS!")
    return data.replace(b"NUMBERS!", b"numbers!", 1)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a call of the system": (lambda: saved({"w": Runs(os.mkdir, "hacked")}), "the name 'posix.mkdir'"),
    "eval": (lambda: saved({"w": Runs(eval, "__import__('os').mkdir('hacked')")}), "eval'"),
    "a chain of calls": (lambda: saved({"w": Runs(getattr, Runs(__import__, "os"), "mkdir")}), "getattr'"),
    "torch.hub": (lambda: archive(b"\x80\x02}X\x01\x00\x00\x00wctorch.hub\nload\n)Rs."), "the name 'torch.hub.load'"),
    "a name made on the stack": (
        lambda: archive(b"\x80\x04\x8c\x05posix\x8c\x05mkdir\x93\x8c\x06hacked\x85R."),
        "'posix.mkdir'",
    ),
    "a name that is a number": (lambda: archive(b"\x80\x04K\x01K\x02\x93."), "a name that is no text"),
    "INST": (lambda: archive(b"\x80\x02(X\x06\x00\x00\x00hackediposix\nmkdir\n."), "opcode INST"),
    "OBJ": (lambda: archive(b"\x80\x02(cposix\nmkdir\no."), "'posix.mkdir'"),
    "an extension": (lambda: archive(b"\x80\x02\x82\x01."), "opcode EXT1"),
    "a call of text": (lambda: archive(b"\x80\x02X\x01\x00\x00\x00a)R."), "a call that weights do not need"),
    "a call of a storage's type": (lambda: archive(b"\x80\x02ctorch\nFloatStorage\n)R."), "a call that weights"),
    "a state for a tensor": (lambda: archive(tensor()[:-2] + b"}bs."), "a state given to what has none"),
    "another persistent object": (lambda: archive(b"\x80\x02X\x01\x00\x00\x00aQ."), "a reference to something else"),
    "a key nested 100,000 deep": (
        lambda: archive(b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"K\x01s."),
        "a key that is a tuple",
    ),
    "lists nested 100,000 deep": (
        lambda: archive(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."),
        "expected a mapping",
    ),
    "text of a false length": (lambda: archive(b"\x80\x02X\xff\xff\xff\x7fabc."), "a damaged pickle"),
    "bytes of a false length": (
        lambda: archive(b"\x80\x05\x96\xff\xff\xff\xff\xff\x00\x00\x00abc."),
        "a damaged pickle",
    ),
    "a pickle cut short": (lambda: archive(tensor()[:-5]), "a damaged pickle"),
    "an empty stack": (lambda: archive(b"\x80\x02R."), "a damaged pickle"),
    "no value": (lambda: archive(b"\x80\x02."), "a damaged pickle"),
    "a tensor of strides 0": (lambda: archive(tensor((10**6, 10**6), (0, 0))), "larger than the numbers stored"),
    "a tensor beyond its numbers": (lambda: archive(tensor(offset=1)), "larger than the numbers stored"),
    "a negative offset": (lambda: archive(tensor(offset=-1)), "no whole numbers"),
    "a side that is a bool": (lambda: archive(tensor((True,))), "no whole numbers"),
    "a thousand dimensions": (lambda: archive(tensor((1,) * 1000, (1,) * 1000)), "a tensor without a shape"),
    "an unknown storage": (lambda: archive(tensor(kind="QInt8Storage")), "the name 'torch.QInt8Storage'"),
    "numbers that are not there": (lambda: archive(tensor()), "There is no item named"),
    "fewer numbers than said": (lambda: archive(tensor((10**12,), count=10**12), data__0=b"12345678"), "too few"),
    "numbers of another file": (lambda: archive(tensor(key="../../etc/passwd")), "There is no item named"),
    "damaged numbers": (damaged_numbers, "Bad CRC-32"),
    "big-endian numbers": (lambda: archive(tensor(), byteorder=b"big"), "not little-endian"),
    "a zip bomb": (lambda: archive(bytes(1 << 26), compression=zipfile.ZIP_DEFLATED), "is compressed"),
    "entries that overlap": (repeated_entries, "more bytes than the file has"),
    "a directory of 4 GB": (
        lambda: changed(archive(tensor()), -10, b"\xff\xff\xff\xff"),
        "a directory of 4294967295 bytes",
    ),
    "a longer directory elsewhere": (
        lambda: changed(saved({}), -42 + 8, struct.pack("<Q", 0)),
        "its directory is not where torch.save puts it",
    ),
    "no pickle": (lambda: archive(b"").replace(b"data.pkl", b"data.txt"), "no data.pkl"),
    "a bare pickle": (lambda: pickle.dumps(Runs(os.mkdir, "hacked")), "no zip archive"),
    "torch's former format": (lambda: saved({}, _use_new_zipfile_serialization=False), "no zip archive"),
    "a file cut short": (lambda: saved({"w": torch.zeros(99)})[:-50], "cut short"),
    "an empty file": (bytes, "cut short"),
    "text": (lambda: b"weights " * 99, "no zip archive"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_one_line_and_costs_nothing(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, told = HOSTILE[what]
    path = tmp_path / "model.pt"
    path.write_bytes(make())
    size = path.stat().st_size
    tracemalloc.start()
    try:
        with pytest.raises(FileError) as caught:
            read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert told in str(caught.value)
    assert str(caught.value).startswith(f"{path}: no readable checkpoint")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "hacked").exists()
    assert peak < MOST_MEMORY + 100 * size


def test_a_pickle_has_a_length_and_a_number_of_opcodes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"\x80\x02]" + b"]a" * 1000 + b"."
    tensor_pickle.load(data)
    monkeypatch.setattr(tensor_pickle, "MOST_OPCODES", 2000)
    with pytest.raises(tensor_pickle.Refused, match="more than 2000 pickle opcodes"):
        tensor_pickle.load(data)
    monkeypatch.setattr(tensor_pickle, "MOST_BYTES", 2000)
    with pytest.raises(tensor_pickle.Refused, match="a pickle of 2004 bytes"):
        tensor_pickle.load(data)


def test_a_large_memo_number_costs_nothing() -> None:
    tracemalloc.start()
    assert tensor_pickle.load(b"\x80\x02}r\xff\xff\xff\x7f.") == {}
    assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    tracemalloc.stop()


def test_a_tensor_that_is_written_by_hand_is_read() -> None:
    assert isinstance(tensor_pickle.load(tensor())["w"], StoredTensor)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pickletools, of escapes in damaged text
def test_damage_to_a_pickle_is_refused_or_gives_tensors_within_their_numbers() -> None:
    for damage in damages(tensor(), 3000, seed=0):
        try:
            content = tensor_pickle.load(damage.data)
        except tensor_pickle.Refused:
            continue
        for stored in tensors_in(content) or {}:
            found = content[stored]
            last = found.offset + sum((n - 1) * step for n, step in zip(found.shape, found.stride, strict=True))
            assert last < found.storage.num_elements
