"""Looks names of tensors up in a format's tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Renames: TypeAlias = "tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]"
"""Patterns, and what takes their place."""


def rewritten(name: str, table: Renames) -> str:
    """The name after every entry of a table in turn: each rewrites a part of it."""
    for pattern, replacement in table:
        name = re.sub(pattern, replacement, name)
    return name


def rewritten_once(name: str, table: Renames) -> str:
    """The name after the first entry that changes it: each rewrites it as far as needed."""
    for pattern, replacement in table:
        changed = re.sub(pattern, replacement, name)
        if changed != name:
            return changed
    return name


def reason_for(name: str, table: tuple[tuple[str, str], ...]) -> str | None:
    """The reason beside the first pattern that is found in a name, or None."""
    return next((reason for pattern, reason in table if re.search(pattern, name)), None)
