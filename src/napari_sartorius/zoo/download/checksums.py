"""Checksums of downloads: the publisher's, or those of the first time where there are none."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import write_text

_FULL = {"sha256": 64, "md5": 32}


@dataclass(frozen=True)
class ChecksumLedger:
    """Remembers the SHA-256 of first downloads in a JSON file beside them.

    Attributes
    ----------
    path
        The JSON file; it need not exist.
    """

    path: Path

    def expected(self, name: str, published: str | None) -> tuple[str, ...]:
        """All checksums that a file must have, each ``algorithm:digits``, in full or begun."""
        recorded = self._read().get(name)
        known = [published] if published else []
        if isinstance(recorded, str):
            known.append(f"sha256:{recorded}")
        return tuple(known)

    def record(self, name: str, sha256: str) -> None:
        """Remember a checksum; one that is there already stays."""
        content = self._read()
        if name not in content:
            write_text(self.path, json.dumps(content | {name: sha256}, indent=1) + "\n")

    def forget(self, name: str) -> None:
        """Remember nothing of this name any more."""
        content = self._read()
        if content.pop(name, None) is not None:
            write_text(self.path, json.dumps(content, indent=1) + "\n")

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.path}, the checksums of earlier downloads, cannot be read; repair it, or "
                "delete it to trust the next download of each model"
            ) from error
        return content if isinstance(content, dict) else {}


def is_full(checksum: str) -> bool:
    """Whether all digits are known."""
    algorithm, digits = checksum.split(":")
    return len(digits) == _FULL[algorithm]


def mismatch(path: Path, checksums: tuple[str, ...]) -> str | None:
    """Say which checksum a file does not have, as the middle of a sentence; None when all fit."""
    for checksum in checksums:
        algorithm, digits = checksum.split(":")
        found = file_digest(path, algorithm)
        if not found.startswith(digits):
            return f"its {algorithm} checksum is {found[:12]}..., expected {digits[:12]}..."
    return None


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Checksum of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: _new(algorithm)).hexdigest()


def _new(algorithm: str) -> Any:
    # MD5 is what one publisher gives; it guards against accidents only, and is said to be no more.
    return hashlib.new(algorithm, usedforsecurity=False)
