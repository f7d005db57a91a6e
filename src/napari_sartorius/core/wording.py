"""Numbers of things in sentences, with the noun and the verb that belong to them."""

from __future__ import annotations


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
