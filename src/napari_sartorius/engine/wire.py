"""The channel between viewer and worker: framed pickles over two pipes that only these two hold.

The pipes are the worker's own standard input and output. They have no name and no port, so no other
program can connect to them, and both ends see at once when the other one dies. Arrays travel
out of band (pickle protocol 5): they are written from, and read into, their own memory.
"""

from __future__ import annotations

import pickle
import struct
import threading
from dataclasses import dataclass
from typing import Any, BinaryIO

_HEADER = struct.Struct("<4sI")
_SIZE = struct.Struct("<Q")
_MAGIC = b"nsw1"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Packed:
    """A pickled object whose unpickling is put off, so that its failure can be told apart."""

    stream: bytes
    buffers: tuple[pickle.PickleBuffer | bytearray, ...]


def pack(value: object) -> Packed:
    """Pickle `value`; large arrays are referenced, not copied.

    Raises
    ------
    Exception
        Whatever pickle raises for a value that cannot travel.
    """
    buffers: list[pickle.PickleBuffer] = []
    stream = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return Packed(stream, tuple(buffers))


def unpack(packed: Packed) -> Any:
    """Restore what `pack` was given; arrays are writable and own their memory."""
    return pickle.loads(packed.stream, buffers=packed.buffers)


class Channel:
    """Send and receive objects over a pair of unbuffered binary streams.

    Sending is safe from several threads; receiving belongs to one thread.
    """

    def __init__(self, reader: BinaryIO, writer: BinaryIO) -> None:
        self._reader = reader
        self._writer = writer
        self._write_lock = threading.Lock()

    def send(self, message: object) -> None:
        """Write one message.

        Raises
        ------
        OSError
            When the other end is gone (BrokenPipeError) or this end was closed.
        """
        packed = pack(message)
        views = [memoryview(packed.stream), *map(_flat, packed.buffers)]
        head = [_HEADER.pack(_MAGIC, len(views)), *(_SIZE.pack(view.nbytes) for view in views)]
        with self._write_lock:
            if self._writer.closed:
                raise BrokenPipeError("the channel to the worker is closed")
            self._write(memoryview(b"".join(head)))
            for view in views:
                self._write(view)

    def receive(self) -> Any:
        """Read one message, waiting for it.

        Raises
        ------
        EOFError
            When the other end is gone.
        """
        magic, count = _HEADER.unpack(self._read(_HEADER.size))
        if magic != _MAGIC:
            raise EOFError("the channel carries something that is not a message")
        sizes = [_SIZE.unpack(self._read(_SIZE.size))[0] for _ in range(count)]
        stream, *buffers = [self._read(size) for size in sizes]
        return pickle.loads(stream, buffers=buffers)

    def close_writer(self, timeout: float) -> bool:
        """Close the sending direction; False when a send is still under way after `timeout` s."""
        if not self._write_lock.acquire(timeout=timeout):
            return False
        try:
            self._writer.close()
        finally:
            self._write_lock.release()
        return True

    def close_reader(self) -> None:
        """Close the receiving direction; only when no thread is in `receive`."""
        self._reader.close()

    def _write(self, view: memoryview) -> None:
        done = 0
        while done < view.nbytes:
            done += self._writer.write(view[done : done + _CHUNK]) or 0

    def _read(self, size: int) -> bytearray:
        buffer = bytearray(size)
        view = memoryview(buffer)
        done = 0
        while done < size:
            count = self._reader.readinto(view[done : done + _CHUNK])  # type: ignore[attr-defined]
            if not count:
                raise EOFError("the other end of the channel is gone")
            done += count
        return buffer


def _flat(buffer: pickle.PickleBuffer | bytearray) -> memoryview:
    """Bytes of a buffer; `raw` also copes with arrays without elements and Fortran order."""
    return buffer.raw() if isinstance(buffer, pickle.PickleBuffer) else memoryview(buffer)
