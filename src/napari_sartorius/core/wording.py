"""How sentences for people are made of parts: numbers of things, lists of names, a capital."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """Return ``1 cell`` or ``1,234 cells``.

    Parameters
    ----------
    count
        How many.
    noun
        What one of them is called.
    nouns
        What several are called, where that is not `noun` with an s.
    """
    return f"{count:,} {agree(count, noun, f'{noun}s' if nouns is None else nouns)}"


def agree(count: int, one: str, many: str) -> str:
    """Return the word for so many of something, such as ``was`` or ``were``."""
    return one if count == 1 else many


def some_of(names: Sequence[object], most: int) -> str:
    """Return the first names and how many there are besides: ``a, b and 7 more``."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def capital(text: str) -> str:
    """Return a text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """Return a message with a capital letter in front and a full stop."""
    text = text.strip()
    return capital(text) + ("" if text.endswith((".", "!", "?")) else ".")
