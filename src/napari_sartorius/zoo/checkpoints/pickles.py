"""Reads pickled arrays without running anything that the file asks for.

A pickle is a program: it may name any importable function and have it called. This reader knows no
function but its own few, which note down what an array shall be; whatever else a file names is
refused before it is imported. numpy's own objects are kept away from the file too: a pickle may
give any object a state, and a false one makes numpy read memory that is not its own.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


class Refused(Exception):
    """The file names something that has no place among weights; the text is its name."""


def load_arrays(data: bytes) -> Any:
    """Content of a pickle of arrays, numbers, strings, lists, tuples and dictionaries.

    Arrays come as `PickledArray`, ordered dictionaries as plain ones. Pickles of Python 2 are read
    as detectron2 does, with their strings as latin-1.

    Raises
    ------
    Refused
        When it asks for anything else.
    Exception
        Of any kind when it is damaged.
    """
    # Python's unpickler believes every number that it reads: one that names the place of a note
    # makes it allocate a table of that size. So all are looked at before it sees them.
    for instruction, argument, _ in pickletools.genops(data):
        if instruction.name in _NEVER or "BUFFER" in instruction.name:
            raise Refused(f"the instruction {instruction.name}")
        known = isinstance(argument, int) and 0 <= argument <= len(data)
        if instruction.name in _NOTES and not known:
            raise ValueError("a note beyond the end of the file")
    return _Unpickler(io.BytesIO(data), encoding="latin1").load()


# Instructions that make objects of classes, or fetch something from outside the file.
_NEVER = frozenset(
    ("INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID")
)
_NOTES = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))


class PickledArray:
    """An array of plain numbers as a pickle describes it.

    Attributes
    ----------
    value
        The array; may be read-only.
    """

    __slots__ = ("value",)
    value: np.ndarray[Any, Any]

    def __init__(self) -> None:
        self.value = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        """Fill it with (version, shape, number type, column order, bytes)."""
        _, shape, kind, by_columns, data = state
        self.fill(data, kind, shape, "F" if by_columns else "C")

    def fill(self, data: Any, kind: Any, shape: Any, order: Any) -> None:
        """Take bytes as numbers; their count must be the shape's."""
        if not isinstance(kind, _NumberType):
            raise Refused("an array of something else than numbers")
        raw = data.encode("latin1") if isinstance(data, str) else data
        numbers = np.frombuffer(raw, kind.dtype) if len(raw) else np.empty(0, kind.dtype)
        self.value = numbers.reshape(tuple(int(n) for n in shape), order=order)


class _NumberType:
    """A type of plain numbers; a file can change its byte order and nothing else."""

    __slots__ = ("dtype",)

    def __init__(self, name: Any) -> None:
        if name not in _NUMBERS:
            raise Refused(f"an array of {name}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        _, order, *rest = state
        if order not in ("<", ">", "|", "=") or tuple(rest) != (None, None, None, -1, -1, 0):
            raise Refused("a changed number type")
        self.dtype = self.dtype.newbyteorder(order)


# Half, single and double floats, integers, booleans, by the names that numpy gives them in pickles.
_NUMBERS = frozenset(("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"))


class _StandIn:
    """A callable without attributes, so that a pickle cannot change it."""

    __slots__ = ("_run",)
    _run: Callable[..., Any]

    def __init__(self, run: Callable[..., Any]) -> None:
        object.__setattr__(self, "_run", run)

    def __call__(self, *arguments: Any) -> Any:
        return self._run(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise Refused(f"a change of {name}")


def _number_type(name: Any, *_: Any) -> _NumberType:
    return _NumberType(name)


def _array(*_: Any) -> PickledArray:
    # numpy always begins with an empty array; shape and contents follow as its state.
    return PickledArray()


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> PickledArray:
    array = PickledArray()
    array.fill(data, kind, shape, order)
    return array


def _scalar(kind: Any, data: Any) -> Any:
    return _from_buffer(data, kind, (), "C").value.item()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if encoding != "latin1" or not isinstance(text, str):
        raise Refused(f"text in the encoding {encoding}")
    return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _StandIn(dict),
    ("_codecs", "encode"): _StandIn(_encode),
    ("numpy", "ndarray"): object(),
    ("numpy", "dtype"): _StandIn(_number_type),
} | {
    (f"numpy.{core}.{part}", name): _StandIn(run)
    for core in ("core", "_core")
    for part, name, run in (
        ("multiarray", "_reconstruct", _array),
        ("multiarray", "scalar", _scalar),
        ("numeric", "_frombuffer", _from_buffer),
    )
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Give the stand-in for an admitted name, refuse every other."""
        try:
            return _ADMITTED[module_name, global_name]
        except KeyError:
            raise Refused(f"{module_name}.{global_name}") from None

    def persistent_load(self, pid: Any, /) -> Any:
        """Refuse references to something outside the file."""
        raise Refused("an object outside the file")
