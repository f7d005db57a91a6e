"""What has arrived of a file so far, and the note that says of which file it is the beginning."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sartorius.io.atomic import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class PartialFile:
    """A file that may be incomplete.

    Attributes
    ----------
    path
        Where the bytes are; the note is beside it.
    """

    path: Path

    @property
    def size(self) -> int:
        """Bytes that are there."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def url(self) -> str | None:
        """Where the bytes are from; None when there are none or that is not known."""
        return self._note().get("url") if self.size else None

    def request_headers(self, url: str) -> dict[str, str]:
        """Headers that ask for the rest; empty when the whole file must come.

        Only the same address is asked for the rest, and only when the server gave a mark by which
        it can tell that the file is still the same.
        """
        note = self._note()
        if not self.size or note.get("url") != url or not note.get("mark"):
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": note["mark"]}

    def begin(self, url: str, headers: Mapping[str, str], total: int | None) -> None:
        """Start afresh with the answer of a server."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(b"")
        tag = headers.get("ETag", "")
        # A weak tag may stay the same while bytes change; a date says at least the second.
        mark = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")
        write_text(self._note_path, json.dumps({"url": url, "mark": mark, "bytes": total}))

    def forget(self) -> None:
        """Remove what is there."""
        self.path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)

    @property
    def _note_path(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    def _note(self) -> dict[str, Any]:
        try:
            note = json.loads(self._note_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}
