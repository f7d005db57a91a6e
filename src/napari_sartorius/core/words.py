"""Numbers of things in sentences."""

from __future__ import annotations


def counted(count: int, word: str) -> str:
    """Return ``1 image`` or ``12 images``."""
    return f"{count} {word}" + ("" if count == 1 else "s")
