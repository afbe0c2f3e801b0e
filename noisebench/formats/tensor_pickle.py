"""Read the pickles of ``torch.save``: tensors and plain values, and nothing else.

A pickle is a program. Here it is run by a machine that can only build lists, tuples, mappings and values: no name in
the pickle is ever imported, and nothing is ever called. The few names that weights need have a meaning of their own
here; those by which training libraries keep their settings stand for `Closed`, which holds nothing; any other name
refuses the file. A tensor becomes a `StoredTensor`, which says where its numbers lie.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

MOST_BYTES = 64 << 20
MOST_OPCODES = 1 << 22
"""Each can cost some 100 bytes. A network of 2,060 layers needs 0.7 million."""
MOST_DIMENSIONS = 8

DTYPES = {
    "torch.FloatStorage": "float32",
    "torch.DoubleStorage": "float64",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
}
"""Types of numbers, by the name of the storage that holds them."""

_TENSOR = "torch._utils._rebuild_tensor_v2"
_PARAMETER = "torch._utils._rebuild_parameter"
_ORDERED_DICT = "collections.OrderedDict"
_CLOSED = frozenset(
    {"argparse.Namespace", "collections.Counter", "torch.device", "numpy.dtype", "_codecs.encode"}
    | {"builtins.set", "__builtin__.set"}
    | {f"pathlib.{name}" for name in ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")}
    | {f"{module}.scalar" for module in ("numpy.core.multiarray", "numpy._core.multiarray")}
)
_CLOSED_LIBRARIES = ("pytorch_lightning", "lightning", "lightning_fabric", "omegaconf")


class Refused(Exception):  # noqa: N818 - it is the outcome, not only an error
    """The pickle holds or names something that is not admitted, or is damaged."""


class Storage(NamedTuple):
    """Where numbers lie: the entry ``data/KEY`` of the archive."""

    key: str
    dtype: str
    num_elements: int


class StoredTensor(NamedTuple):
    """A view of a storage, offset and strides in elements; all of it lies inside."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class Closed:
    """An object of a training library, which stays closed."""


class _Name(NamedTuple):
    text: str


def load(data: bytes) -> Any:
    """Run a pickle of protocol 2 or later.

    Returns:
        What it holds. Sets come as lists, ordered mappings as plain ones.

    Raises:
        Refused: It holds or names anything else, or is damaged, or too large. Nothing of it was called.
    """
    if len(data) > MOST_BYTES:
        raise Refused(f"a pickle of {len(data)} bytes; expected at most {MOST_BYTES}")
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count >= MOST_OPCODES:
                raise Refused(f"more than {MOST_OPCODES} pickle opcodes")
            if opcode.name not in _ACTIONS:
                raise Refused(f"the pickle opcode {opcode.name}, which no weights need")
            _ACTIONS[opcode.name](machine, argument)
        (result,) = machine.stack
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise Refused(f"a damaged pickle: {str(error)[:100]}") from error
    return result


class _Machine:
    """The stack, its marks and the memo of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: object) -> None:
        self.stack.append(value)

    def mark(self, _: object) -> None:
        self.marks.append(len(self.stack))

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def make_tuple(self, length: int) -> None:
        if length > len(self.stack):
            raise Refused("a damaged pickle: a tuple of more than there is")
        values = tuple(self.stack[-length:])
        del self.stack[-length:]
        self.push(values)

    def remember(self, number: int | None) -> None:
        self.memo[len(self.memo) if number is None else number] = self.stack[-1]

    def extend(self, values: Iterable[object]) -> None:
        """Put values into the list on top; what goes into a closed object is dropped."""
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Closed):
            raise Refused(f"values put into a {type(target).__name__}")

    def update(self, values: list[Any]) -> None:
        """Put keys and values, in turn, into the mapping on top; what goes into a closed object is dropped."""
        target = self.stack[-1]
        if isinstance(target, dict):
            for key, value in zip(values[::2], values[1::2], strict=True):
                target[_key(key)] = value
        elif not isinstance(target, Closed):
            raise Refused(f"keys put into a {type(target).__name__}")

    def build(self, _: object) -> None:
        """Drop the state of an object: neither mappings nor closed objects have one that matters."""
        self.stack.pop()
        if not isinstance(self.stack[-1], dict | Closed):
            raise Refused("a state given to what has none")

    def call(self, _: object) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.push(_meaning(function, arguments))

    def find_storage(self, _: object) -> None:
        match self.stack.pop():
            case ("storage", _Name(text=kind), str(key), str(), int(count)) if kind in DTYPES and count >= 0:
                self.push(Storage(key, DTYPES[kind], count))
            case _:
                raise Refused("a reference to something else than the numbers of a tensor")

    def name(self, text: str) -> None:
        if text in _CLOSED or text.partition(".")[0] in _CLOSED_LIBRARIES:
            self.push(Closed())
        elif text in DTYPES or text in (_TENSOR, _PARAMETER, _ORDERED_DICT):
            self.push(_Name(text))
        else:
            raise Refused(f"the name '{text[:100]}', which no weights need")

    def name_on_stack(self, _: object) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise Refused("a name that is no text")
        self.name(f"{module}.{name}")


def _key(key: object) -> object:
    """A key of a mapping; a tuple is refused, since one nested deeply enough would crash the interpreter."""
    if key is not None and not isinstance(key, str | int | float | Closed):
        raise Refused(f"a key that is a {type(key).__name__}")
    return key


def _meaning(function: object, arguments: object) -> object:
    """What a call stands for."""
    match function, arguments:
        case Closed(), tuple():
            return Closed()
        case _Name(text="collections.OrderedDict"), ():
            return {}
        case _Name(text="torch._utils._rebuild_tensor_v2"), (Storage() as storage, offset, shape, stride, *_):
            return _tensor(storage, offset, shape, stride)
        case _Name(text="torch._utils._rebuild_parameter"), (StoredTensor() as tensor, *_):
            return tensor
    raise Refused("a call that weights do not need")


def _tensor(storage: Storage, offset: object, shape: object, stride: object) -> StoredTensor:
    match offset, shape, stride:
        case int(start), tuple(sides), tuple(steps) if len(sides) == len(steps) <= MOST_DIMENSIONS:
            numbers = (start, *sides, *steps)
            if not all(type(number) is int and number >= 0 for number in numbers):
                raise Refused("a tensor whose shape is no whole numbers")
            last = start + sum((side - 1) * step for side, step in zip(sides, steps, strict=True))
            # Strides of 0 would let a small file stand for a tensor of any size.
            if math.prod(sides) > storage.num_elements or (math.prod(sides) and last >= storage.num_elements):
                raise Refused("a tensor larger than the numbers stored for it")
            return StoredTensor(storage, start, sides, steps)
    raise Refused("a tensor without a shape")


def _pushing(make: Callable[[], object]) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(make())


_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, argument: None),
    **dict.fromkeys(
        (
            *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
            *("BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES"),
        ),
        _Machine.push,
    ),
    "NONE": _pushing(lambda: None),
    "NEWTRUE": _pushing(lambda: True),
    "NEWFALSE": _pushing(lambda: False),
    "EMPTY_DICT": _pushing(dict),
    "EMPTY_LIST": _pushing(list),
    "EMPTY_SET": _pushing(list),
    "EMPTY_TUPLE": _pushing(tuple),
    "MARK": _Machine.mark,
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.make_tuple(1),
    "TUPLE2": lambda machine, _: machine.make_tuple(2),
    "TUPLE3": lambda machine, _: machine.make_tuple(3),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "ADDITEMS": lambda machine, _: machine.extend(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.update([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.update(machine.since_mark()),
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "MEMOIZE": _Machine.remember,
    "BINGET": lambda machine, number: machine.push(machine.memo[number]),
    "LONG_BINGET": lambda machine, number: machine.push(machine.memo[number]),
    "GLOBAL": lambda machine, argument: machine.name(argument.replace(" ", ".")),
    "STACK_GLOBAL": _Machine.name_on_stack,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.find_storage,
}
"""What each opcode does; any other refuses the file."""
