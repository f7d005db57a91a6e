"""Reads pickled arrays without running anything that the file asks for.

A pickle is a program: it may name any importable function and have it called. This reader knows no
function but its own few, which build numpy arrays of plain numbers; whatever else a file names is
refused before it is imported.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

# float16/32/64, all integers, booleans; never objects, strings or records.
_PLAIN_KINDS = frozenset("fiub")


class Refused(Exception):
    """The file names something that has no place among weights; the text is its name."""


def load_arrays(data: bytes) -> Any:
    """Content of a pickle of arrays, numbers, strings, lists, tuples and dictionaries.

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
        if instruction.name in _NEVER:
            raise Refused(f"the instruction {instruction.name}")
        if instruction.name in _NOTES and not 0 <= int(argument) <= len(data):
            raise ValueError("a note beyond the end of the file")
    return ArrayUnpickler(data).load()


# Instructions that make objects of classes, or fetch something from outside the file.
_NEVER = frozenset(
    "INST OBJ NEWOBJ NEWOBJ_EX EXT1 EXT2 EXT4 PERSID BINPERSID NEXT_BUFFER READONLY_BUFFER".split()
)
_NOTES = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))


class ArrayUnpickler(pickle.Unpickler):
    """Unpickler that admits numpy arrays, numbers, strings, lists, tuples and dictionaries.

    Ordered dictionaries become plain ones. Pickles of Python 2 are read as detectron2 does,
    with their strings as latin-1.
    """

    def __init__(self, data: bytes) -> None:
        # In memory: a length written in the file can then never make Python allocate it.
        super().__init__(io.BytesIO(data), encoding="latin1")

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Give the stand-in for an admitted name.

        Raises
        ------
        Refused
            For every other name.
        """
        try:
            return _ADMITTED[module_name, global_name]
        except KeyError:
            raise Refused(f"{module_name}.{global_name}") from None

    def persistent_load(self, pid: Any, /) -> Any:
        """Refuse references to something outside the file."""
        raise Refused("an object outside the file")


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


def _plain_dtype(name: Any, *_: Any) -> np.dtype[Any]:
    # A copy, because unpickling goes on to set its byte order.
    found = np.dtype(str(name), copy=True)
    if found.kind not in _PLAIN_KINDS or found.shape or found.fields:
        raise Refused(f"an array of {name}")
    return found


def _empty_array(_class: Any, shape: Any, *_: Any) -> np.ndarray[Any, Any]:
    # numpy always begins with an empty array; the contents and their shape follow and are checked.
    if tuple(shape) != (0,):
        raise Refused(f"an unfilled array of shape {shape}")
    return np.empty(0, np.uint8)


def _scalar(dtype: Any, data: Any) -> Any:
    if not isinstance(dtype, np.dtype) or dtype.kind not in _PLAIN_KINDS:
        raise Refused(f"a scalar of {dtype}")
    raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
    return np.frombuffer(raw, dtype, 1)[0]


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray[Any, Any]:
    if not isinstance(dtype, np.dtype) or dtype.kind not in _PLAIN_KINDS:
        raise Refused(f"an array of {dtype}")
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if encoding != "latin1" or not isinstance(text, str):
        raise Refused(f"text in the encoding {encoding}")
    return text.encode("latin1")


_ARRAY_CLASS = object()
_ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _StandIn(dict),
    ("_codecs", "encode"): _StandIn(_encode),
    ("numpy", "ndarray"): _ARRAY_CLASS,
    ("numpy", "dtype"): _StandIn(_plain_dtype),
} | {
    (f"numpy.{core}.{part}", name): _StandIn(run)
    for core in ("core", "_core")
    for part, name, run in (
        ("multiarray", "_reconstruct", _empty_array),
        ("multiarray", "scalar", _scalar),
        ("numeric", "_frombuffer", _from_buffer),
    )
}
