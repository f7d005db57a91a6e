"""Names that a model's card and folder may have, from what people call things."""

from __future__ import annotations

import unicodedata

_SPELT = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae", "ł": "l", "Ł": "L"})


def model_name(wish: str, otherwise: str = "model") -> str:
    """The nearest name that a card accepts: letters of ASCII, digits, dots, dashes, underscores.

    Parameters
    ----------
    wish
        For example the name of a folder; letters lose their marks, everything else becomes a dash.
    otherwise
        Taken when nothing is left.
    """
    parts = unicodedata.normalize("NFKD", wish.translate(_SPELT))
    plain = "".join(c for c in parts if not unicodedata.combining(c))
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in plain)
    return kept.strip("._-") or otherwise
