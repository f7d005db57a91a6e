"""What pydantic finds wrong with a card or a configuration, in a few words."""

from __future__ import annotations

from pydantic import ValidationError


def first_problem(error: Exception) -> str:
    """Place and kind of the first of all problems; the text of an error of another kind."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = str(first["msg"]).removeprefix("Value error, ")
        return f"{where}: {what}" if where else what
    return str(error)
