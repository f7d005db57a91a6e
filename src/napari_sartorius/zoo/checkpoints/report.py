"""What an import did with every tensor, and what it had to assume."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pydantic import BaseModel, ConfigDict

from napari_sartorius.core.wording import plural

Fate = Literal["used", "ignored", "missing"]


class TensorNote(BaseModel):
    """What became of one tensor.

    Parameters
    ----------
    name
        In the checkpoint; in the network for missing ones.
    shape
        Empty for single numbers.
    fate
        ``used``; ``ignored``: in the file but not needed; ``missing``: in the network but not in
        the file, which only counters may be.
    reason
        Why it was ignored or may be missing; the name in the network when used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    shape: tuple[int, ...]
    fate: Fate
    reason: str = ""


class ImportReport(BaseModel):
    """The whole story of an import; kept as ``import.json`` in the bundle.

    Parameters
    ----------
    source, source_sha256
        Name and checksum of the checkpoint.
    tensors
        One note for every tensor of the file and every missing one.
    assumptions
        What neither the checkpoint nor a configuration said, in sentences.
    settings
        What became of each entry of the configuration that was not simply used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    source_sha256: str
    tensors: tuple[TensorNote, ...]
    assumptions: tuple[str, ...] = ()
    settings: dict[str, str] = {}

    def of(self, fate: Fate) -> list[TensorNote]:
        """Tensors of this fate in the order of the file."""
        return [note for note in self.tensors if note.fate == fate]

    def lines(self, every_tensor: bool = False) -> list[str]:
        """Text for a reader: counts, what was ignored and why, and what was assumed."""
        used, ignored, missing = (len(self.of(f)) for f in ("used", "ignored", "missing"))
        lines = [
            f"{plural(used, 'tensor')} used, {ignored} ignored, {missing} missing but not needed"
        ]
        if every_tensor:
            lines += [f"  {n.fate:<8} {n.name} {_size(n.shape)} {n.reason}" for n in self.tensors]
        else:
            others = Counter((n.fate, n.reason) for n in self.tensors if n.fate != "used")
            lines += [f"  {n} {fate}: {reason}" for (fate, reason), n in others.items()]
        lines += [f"Configuration: {key}: {what}" for key, what in self.settings.items()]
        return lines + [f"Assumed: {sentence}" for sentence in self.assumptions]


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape) or "number"
