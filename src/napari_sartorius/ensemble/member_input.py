"""How one network's input is made of another's: scale, grey levels, channels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MemberInput:
    """What a network of an ensemble sees, in terms of the pixels that the ensemble is given.

    Attributes
    ----------
    scale
        Pixels of this network's input per pixel of the ensemble's, where networks were trained at
        different sizes of cells.
    gain, offset
        Every channel of this network's input is the ensemble's times `gain` plus `offset`, one
        number for each channel or for all: networks normalise with means and deviations of their
        own.
    channels
        1 takes the mean of the ensemble's channels, 3 repeats a single one, None changes nothing.
    """

    scale: float = 1.0
    gain: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)
    channels: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the network sees just what the ensemble is given."""
        return self == MemberInput()
