"""The pickles inside PyTorch's checkpoints, read without running any of them.

A pickle is a program. Python's own reader carries all of it out, calls of any function included; this one knows the
instructions that containers of tensors need, and a table of names that may be called, each standing for a function of
this module that fills in a description. Nothing else has a meaning here, so nothing else can happen.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

STORAGES = {
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "i8",
    "torch.IntStorage": "i4",
    "torch.ShortStorage": "i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "?",
    "torch.ComplexFloatStorage": "c8",
    "torch.ComplexDoubleStorage": "c16",
}
"""PyTorch's name for a run of numbers -> NumPy's name for the type of one of them; NumPy lacks bfloat16."""


class Malformed(Exception):
    """The bytes are no pickle of containers and tensors; says what is wrong."""


class Forbidden(Exception):
    """The pickle names something that is not in the tables; says its name."""


@dataclass(frozen=True)
class Storage:
    """A run of numbers that the file holds elsewhere.

    Attributes:
        key: the name of the run in the file.
        kind: type of one number: a value of `STORAGES`.
        size: count of numbers.
    """

    key: str
    kind: str
    size: int


@dataclass(frozen=True)
class Tensor:
    """A tensor as a view of a storage.

    Attributes:
        storage: where its numbers are.
        offset: of its first number, in numbers.
        shape: its sides.
        strides: steps between neighbours along each side, in numbers.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class _Name:
    """Something that the pickle refers to by name; it can be called by way of `_CALLS` only."""

    name: str


@dataclass
class _Machine:
    """The state of reading one pickle: the stack, the stacks below each mark, what was put aside, the storages met."""

    stack: list[Any] = field(default_factory=list)
    below: list[list[Any]] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    storages: dict[str, Storage] = field(default_factory=dict)

    def marked(self) -> list[Any]:
        """What was pushed since the last mark."""
        items, self.stack = self.stack, self.below.pop()
        return items


def read(stream: Any) -> tuple[Any, dict[str, Storage]]:
    """One pickle: what it describes, and its storages by key; the stream then stands behind it.

    Args:
        stream: an object with `read` and `readline`, such as a `mmap`; `read` gives no more than there is.

    Raises:
        Forbidden: it refers to a name that is not in the tables.
        Malformed: it is cut off, damaged, or uses an instruction that no state dict needs.
    """
    machine = _Machine()
    try:
        for instruction, argument, _ in pickletools.genops(stream):
            if instruction.name == "STOP":
                (result,) = machine.stack
                return result, machine.storages
            if instruction.name in _VALUES:
                machine.stack.append(argument)
            elif instruction.name in _STEPS:
                _STEPS[instruction.name](machine, argument)
            else:
                raise Malformed(f"instruction {instruction.name} is not one that a state dict needs")
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise Malformed(f"{type(error).__name__}: {error}") from error
    raise Malformed("the pickle has no end")


def _name(machine: _Machine, name: str) -> None:
    if name not in STORAGES and name not in _CALLS:
        raise Forbidden(name)
    machine.stack.append(_Name(name))


def _stacked_name(machine: _Machine, _: Any) -> None:
    # A container may be a few bytes long and print as gigabytes, so nothing but text gets into names and messages.
    module, name = (_checked(part, str) for part in _popped(machine, 2))
    _name(machine, f"{module}.{name}")


def _call(machine: _Machine, _: Any) -> None:
    called, arguments = _popped(machine, 2)
    if type(called) is not _Name or called.name not in _CALLS:
        raise Malformed(f"it calls {getattr(called, 'name', type(called).__name__)}, which is no function")
    if type(arguments) is not tuple:
        raise Malformed(f"it calls {called.name} without a tuple of arguments")
    machine.stack.append(_CALLS[called.name](*arguments))


def _build(machine: _Machine, _: Any) -> None:
    """Attributes of a dict, which hold versions of modules, are left out; nothing else has attributes."""
    machine.stack.pop()
    _checked(machine.stack[-1], dict)


def _storage(machine: _Machine, _: Any) -> None:
    word, kind, key, _location, size, *view = _checked(machine.stack.pop(), tuple)
    if _checked(word, str) != "storage" or any(view):
        raise Malformed(f"it refers to a {word!r} where a storage is expected")
    made = Storage(_checked(key, str), STORAGES[_checked(kind, _Name).name], _count(size))
    if machine.storages.setdefault(made.key, made) != made:
        raise Malformed(f"storage {key!r} is described in two ways")
    machine.stack.append(made)


def _put(machine: _Machine, index: int) -> None:
    machine.memo[int(index)] = machine.stack[-1]


def _set_items(machine: _Machine, items: list[Any]) -> None:
    target = _checked(machine.stack[-1], dict)
    target.update(_pairs(zip(items[::2], items[1::2], strict=True)))


def _append(machine: _Machine, items: list[Any]) -> None:
    _checked(machine.stack[-1], list).extend(items)


def _mark(machine: _Machine, _: Any) -> None:
    machine.below.append(machine.stack)
    machine.stack = []


def _marked_tuple(machine: _Machine, _: Any) -> None:
    items = tuple(machine.marked())  # first of all: it changes which list the stack is
    machine.stack.append(items)


def _marked_list(machine: _Machine, _: Any) -> None:
    items = machine.marked()
    machine.stack.append(items)


def _marked_dict(machine: _Machine, _: Any) -> None:
    items = machine.marked()
    machine.stack.append({})
    _set_items(machine, items)


def _tuple(machine: _Machine, count: int) -> None:
    machine.stack.append(tuple(_popped(machine, count)))


def _popped(machine: _Machine, count: int) -> list[Any]:
    if len(machine.stack) < count:
        raise Malformed("it takes more from its stack than it put there")
    items = machine.stack[-count:]
    del machine.stack[-count:]
    return items


def _pairs(pairs: Any) -> dict[Any, Any]:
    """A dict; its keys must be texts or numbers, which takes deep containers away from hashing."""
    found = {}
    for key, value in pairs:
        if type(key) not in (str, int):
            raise Malformed(f"a key is a {type(key).__name__}")
        found[key] = value
    return found


def _checked(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise Malformed(f"a {type(value).__name__} stands where a {kind.__name__} is expected")
    return value


def _count(value: Any) -> int:
    if _checked(value, int) < 0:
        raise Malformed(f"a count is {value}")
    return value


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    sides = tuple(_count(side) for side in _checked(shape, tuple))
    steps = tuple(_count(step) for step in _checked(strides, tuple))
    if len(sides) != len(steps):
        raise Malformed(f"a tensor has {len(sides)} sides and {len(steps)} strides")
    return Tensor(_checked(storage, Storage), _count(offset), sides, steps)


def _parameter(data: Any, *_: Any) -> Tensor:
    return _checked(data, Tensor)


_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": lambda items=(): _pairs(items),
    "torch.Size": lambda sides: _checked(sides, tuple),
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
}
"""Name that may be called -> what stands for it here."""

_VALUES = frozenset(
    {"INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING"}
    | {"SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES"}
)
"""Instructions that push their argument."""

_STEPS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "NONE": lambda machine, _: machine.stack.append(None),
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    "MARK": _mark,
    "TUPLE": _marked_tuple,
    "TUPLE1": lambda machine, _: _tuple(machine, 1),
    "TUPLE2": lambda machine, _: _tuple(machine, 2),
    "TUPLE3": lambda machine, _: _tuple(machine, 3),
    "LIST": _marked_list,
    "DICT": _marked_dict,
    "APPEND": lambda machine, _: _append(machine, _popped(machine, 1)),
    "APPENDS": lambda machine, _: _append(machine, machine.marked()),
    "SETITEM": lambda machine, _: _set_items(machine, _popped(machine, 2)),
    "SETITEMS": lambda machine, _: _set_items(machine, machine.marked()),
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": lambda machine, _: _put(machine, len(machine.memo)),
    "GET": lambda machine, index: machine.stack.append(machine.memo[int(index)]),
    "BINGET": lambda machine, index: machine.stack.append(machine.memo[index]),
    "LONG_BINGET": lambda machine, index: machine.stack.append(machine.memo[index]),
    "GLOBAL": lambda machine, both: _name(machine, both.replace(" ", ".", 1)),
    "STACK_GLOBAL": _stacked_name,
    "BINPERSID": _storage,
    "REDUCE": _call,
    "BUILD": _build,
}
"""What the other instructions do."""
