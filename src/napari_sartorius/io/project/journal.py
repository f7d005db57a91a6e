"""Every edit on disk the moment it is made, so that a crash costs at most the present stroke.

One line of JSON per entry with a number and a checksum. Entries are only ever added at the end;
once they are part of the saved annotations the journal starts anew.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import explained, write_bytes

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One line: its number (growing by one from entry to entry) and what it says."""

    number: int
    content: dict[str, Any]


class Journal:
    """The journal of one project.

    Parameters
    ----------
    path
        Its file; made with the first entry.
    last
        Number of the last entry that is part of the saved annotations already.
    """

    def __init__(self, path: Path, last: int = 0) -> None:
        self.path = path
        self.last = last

    def read(self) -> tuple[list[Entry], int]:
        """Entries that are not saved yet, and how many bytes at the end cannot be read.

        Reading ends at the first damaged line: what follows it may depend on what it said.

        Raises
        ------
        UserError
            When the file is there but cannot be opened.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return [], 0
        except OSError as error:
            raise UserError(
                f"{self.path} cannot be opened ({error.strerror}); it holds the latest edits: "
                "check its permissions"
            ) from error
        entries: list[Entry] = []
        place = 0
        while place < len(data):
            end = data.find(b"\n", place)
            entry = _parsed(data[place:end]) if end >= 0 else None
            if entry is None or entry.number > self.last + 1:
                break
            if entry.number == self.last + 1:
                entries.append(entry)
                self.last = entry.number
            place = end + 1
        return entries, len(data) - place

    def set_aside_tail(self, length: int) -> Path:
        """Copy the journal to a file beside it, then cut off the last `length` bytes.

        Nothing is thrown away: an expert may still get something out of the copy.
        """
        data = self.path.read_bytes()
        copy = self.path.with_name(f"{self.path.stem}.damaged-{datetime.now():%Y%m%d-%H%M%S}.jsonl")
        write_bytes(copy, data)
        write_bytes(self.path, data[: len(data) - length])
        return copy

    def append(self, content: dict[str, Any]) -> int:
        """Add an entry and wait until it is on the disk; returns its number.

        Raises
        ------
        UserError
            When it cannot be written; the journal is then as it was before.
        """
        number = self.last + 1
        line = _line(Entry(number, content))
        try:
            with self.path.open("ab") as file:
                start = file.tell()
                try:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(start)
                    raise
        except OSError as error:
            raise explained(self.path, error) from error
        self.last = number
        return number

    def restart(self) -> None:
        """Empty the file: all entries are part of the saved annotations."""
        write_bytes(self.path, b"")


def _line(entry: Entry) -> bytes:
    body = json.dumps([entry.number, entry.content], separators=(",", ":"), allow_nan=True)
    return f"{body[:-1]},{zlib.crc32(body.encode())}]\n".encode()


def _parsed(line: bytes) -> Entry | None:
    """The entry of a line, or None when a single bit of it is wrong."""
    try:
        number, content, _ = json.loads(line)
        entry = Entry(int(number), content)
    except (ValueError, TypeError):
        return None
    return entry if isinstance(content, dict) and _line(entry) == line + b"\n" else None
