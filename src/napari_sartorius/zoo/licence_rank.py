"""Which of several licences asks for most; an ensemble may be used as the strictest allows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# From the strictest; the first pattern that is found in a licence's text decides.
_RANKS = (
    r"no[- ]?deriv|\bND\b",
    r"non[- ]?commercial|\bNC\b|research (use )?only|academic",
    r"unknown|no licen[cs]e|not published|unpublished|all rights|none",
    r"\bAGPL\b|\bA?GPL",
    r"share[- ]?alike|\bSA\b|\bLGPL|\bMPL",
    r"\bCC[- ]BY\b|attribution|Apache|\bMIT\b|\bBSD\b",
    r"\bCC0|public domain|unlicense",
)
# A text that names nothing known may ask for anything: as strict as a missing licence.
_UNREADABLE = 2


def strictness(licence: str) -> int:
    """How much a licence's text asks for; larger is stricter."""
    found = (
        rank
        for rank, pattern in enumerate(_RANKS)
        if re.search(pattern, licence.replace("-", " "), re.IGNORECASE)
        or re.search(pattern, licence, re.IGNORECASE)
    )
    return len(_RANKS) - next(found, _UNREADABLE)


def combined_licence(licences: Sequence[tuple[str, str]]) -> str:
    """Text for an ensemble of (name, licence) members: the strictest first, then the others."""
    ranked = sorted(licences, key=lambda one: -strictness(one[1]))
    strictest = ranked[0][1]
    others = [f"{name}: {text}" for name, text in ranked if text != strictest]
    if not others:
        return strictest
    of = ", ".join(name for name, text in ranked if text == strictest)
    return f"{strictest} (the strictest, of {of}; {'; '.join(others)})"
