"""Judges a configuration: no entry that would change a network may be passed over in silence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from napari_sartorius.zoo.checkpoints.settings import Settings


@dataclass(frozen=True)
class SettingRules:
    """What the entries of a configuration mean to one format of checkpoints.

    Attributes
    ----------
    stock_only
        Entries that change the network, and the only values that can be imported.
    known
        Patterns of entries that are read, that the tensors tell anyway, or that have no part in
        finding objects.
    notes
        Entries that are not used, and why.
    called
        The network, for sentences.
    """

    stock_only: Mapping[str, tuple[Any, ...]]
    known: tuple[re.Pattern[str], ...]
    notes: Mapping[str, str]
    called: str

    def judged(self, settings: Settings) -> Settings:
        """The same settings with a note for every entry that is not simply used.

        Raises
        ------
        UserError
            When an entry asks for a network that cannot be imported.
        """
        notes = dict(settings.notes)
        for key, value in settings.values.items():
            note = self._note(settings, key, value)
            if note:
                notes[key] = note
        return replace(settings, notes=notes)

    def _note(self, settings: Settings, key: str, value: Any) -> str | None:
        if key in self.stock_only:
            if value not in self.stock_only[key]:
                allowed = " or ".join(str(v) for v in self.stock_only[key])
                raise UserError(
                    f"{settings.path}: {key} is {value}, but only networks with {allowed} can be "
                    "imported"
                )
            return None
        if key in self.notes:
            return self.notes[key]
        if any(pattern.fullmatch(key) for pattern in self.known):
            return None
        if key.startswith("MODEL."):
            raise UserError(
                f"{settings.path} sets {key}, which changes the network in a way that cannot be "
                f"imported; only entries of {self.called} are known"
            )
        return "not known and not used"
