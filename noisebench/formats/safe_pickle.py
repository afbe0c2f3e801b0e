"""Unpickle lists, tuples, bytes, bools and NumPy arrays of bool or uint8, and nothing else.

A pickle is a program: it can call anything it can name. Here its opcodes are read first, without running any, and an
opcode or a name outside the short lists below refuses the file. Only then is it loaded, and even then the names it may
use stand for functions of this module that check their arguments: no function of NumPy or of a codec is ever called by
the pickle.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

_OPCODES = frozenset(
    {"PROTO", "FRAME", "STOP", "MARK", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"}
    | {"NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"}
    | {"STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
    | {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
    | {"LIST", "EMPTY_LIST", "APPEND", "APPENDS", "TUPLE", "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
    | {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"}
)
_PUT_OPCODES = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GET_OPCODES = frozenset({"GET", "BINGET", "LONG_BINGET"})
_TEXT_OPCODES = frozenset({"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"})
# An image has a few opcodes and at least hundreds of bytes. Each opcode can cost memory, an empty list 56 bytes.
_BYTES_AN_OPCODE = 16
# But for these, which name what is there already: an image or an answer once more. Each can cost time.
_SHARING_OPCODES = _GET_OPCODES | {"NEWTRUE", "NEWFALSE"}
_MAX_SHARED = 1 << 24
_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_BUFFER_MODULES = ("numpy.core.numeric", "numpy._core.numeric")
_NAMES = frozenset(
    {("_codecs", "encode"), ("numpy", "ndarray"), ("numpy", "dtype")}
    | {(module, name) for module in _ARRAY_MODULES for name in ("_reconstruct", "scalar")}
    | {(module, "_frombuffer") for module in _BUFFER_MODULES}
)
_DTYPES = {"b1": "bool", "?": "bool", "bool": "bool", "u1": "uint8", "uint8": "uint8"}


class Refused(Exception):  # noqa: N818 - it is the outcome, not only an error
    """The pickle holds or names something that is not admitted."""


class Array:
    """What a pickled NumPy array of bool or uint8 becomes.

    Attributes:
        dtype: "bool" or "uint8".
        data: Its elements, one byte each.
    """

    __slots__ = ("data", "dtype")

    def __init__(self, dtype: str = "uint8", data: bytes = b"") -> None:
        self.dtype = dtype
        self.data = data

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), tuple(shape), _DType(name=dtype), _, bytes(data)):
                self.dtype, self.data = dtype, _checked_size(data, shape)
            case _:
                raise Refused("an array that is not plain bool or uint8")


class _DType:
    """Stands for ``numpy.dtype``."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), _, None, None, None, *_):
                pass
            case _:
                raise Refused("an array with fields")


class _Name:
    """An admitted name as the pickle sees it: it can be called, but never changed."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise Refused("a pickle that tries to change what it names")


def load(data: bytes) -> Any:
    """Load a pickle of any protocol, written by Python 2 or 3. Arrays become ``Array``, ``numpy.bool_`` becomes bool.

    Raises:
        Refused: The pickle holds or names anything else. Then nothing of it was run.
        Exception: The pickle is damaged; which error, only the unpickler knows.
    """
    _check_opcodes(data)
    return _Unpickler(data).load()


def _check_opcodes(data: bytes) -> None:
    """Read all opcodes without running any, and refuse what is not admitted.

    The last two pushed strings are followed, through the memo too, since STACK_GLOBAL takes its name from them.
    """
    memo: dict[int, str | None] = {}
    before: str | None = None
    last: str | None = None
    most, shared = 1000 + len(data) // _BYTES_AN_OPCODE, 0
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        name = opcode.name
        if name not in _OPCODES:
            raise Refused(f"the pickle opcode {name}, which no verification set needs")
        shared += name in _SHARING_OPCODES
        if count - shared > most or shared > _MAX_SHARED:
            raise Refused(f"more than {most} pickle opcodes, too many for its size")
        if name in _PUT_OPCODES:
            number = len(memo) if name == "MEMOIZE" else int(argument or 0)
            if number > count:  # the unpickler would allocate a memo of that length
                raise Refused(f"the pickle memo number {number}, beyond all that can have been stored")
            memo[number] = last
        elif name not in ("PROTO", "FRAME"):
            _check_name(name, argument, before, last)
            before, last = last, _pushed_text(name, argument, memo)


def _pushed_text(opcode: str, argument: Any, memo: dict[int, str | None]) -> str | None:
    """The string an opcode pushes; None if it does anything else."""
    if opcode in _GET_OPCODES:
        return memo.get(int(argument))
    return str(argument) if opcode in _TEXT_OPCODES else None


def _check_name(opcode: str, argument: Any, before: str | None, last: str | None) -> None:
    """Refuse an opcode that names a global which is not admitted."""
    if opcode == "GLOBAL":
        before, _, last = str(argument).partition(" ")
    if opcode in ("GLOBAL", "STACK_GLOBAL") and (before, last) not in _NAMES:
        name = f"{before}.{last}"[:100] if before is not None and last is not None else "(put together while it runs)"
        raise Refused(f"the name {name!r}, which no verification set needs")


class _Unpickler(pickle.Unpickler):
    """Gives the admitted names, each as a function of this module."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")
        self._bytes_left = len(data)
        self._functions: dict[str, Callable[..., object]] = {
            "encode": self._encode,
            "ndarray": _refuse_call,
            "dtype": _dtype,
            "_reconstruct": _empty_array,
            "_frombuffer": _array_from_buffer,
            "scalar": _scalar,
        }

    def find_class(self, module: str, name: str) -> _Name:
        if (module, name) not in _NAMES:
            raise Refused(f"the name {f'{module}.{name}'[:100]!r}")
        return _Name(self._functions[name])

    def _encode(self, text: object, encoding: object) -> bytes:
        """``_codecs.encode(text, "latin1")``, which is how Python 3 writes bytes for Python 2."""
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise Refused("an encoding other than latin1")
        self._bytes_left -= len(text)
        if self._bytes_left < 0:  # the same text encoded over and over
            raise Refused("more bytes than the file has")
        return text.encode("latin1")


def _refuse_call(*arguments: object) -> object:
    raise Refused("a call of numpy.ndarray")


def _dtype(name: object, *_: object) -> _DType:
    text = name.decode("ascii") if isinstance(name, bytes) else name
    if not isinstance(text, str) or text.lstrip("|") not in _DTYPES:
        found = text[:20] if isinstance(text, str) else type(text).__name__
        raise Refused(f"an array of {found!r}; only bool and uint8 are admitted")
    return _DType(_DTYPES[text.lstrip("|")])


def _empty_array(*_: object) -> Array:
    return Array()


def _array_from_buffer(data: object, dtype: object, shape: object, *_: object) -> Array:
    if not (isinstance(data, bytes | bytearray) and isinstance(dtype, _DType) and isinstance(shape, tuple)):
        raise Refused("an array that is not plain bool or uint8")
    return Array(dtype.name, _checked_size(bytes(data), shape))


def _scalar(dtype: object, data: object) -> bool:
    if not (isinstance(dtype, _DType) and dtype.name == "bool" and isinstance(data, bytes) and len(data) == 1):
        raise Refused("a NumPy number that is not bool")
    return data != b"\0"


def _checked_size(data: bytes, shape: tuple[object, ...]) -> bytes:
    sides = [side for side in shape if isinstance(side, int) and side >= 0]
    if len(sides) != len(shape) or math.prod(sides) != len(data):
        raise Refused("an array whose shape does not fit its bytes")
    return data
