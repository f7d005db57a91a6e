"""What all architecture trees have in common: nothing in them may be misspelt or changed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Tree(BaseModel):
    """Strict and immutable: an unknown or misspelt key in a card is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
