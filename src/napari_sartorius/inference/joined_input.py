"""How the inputs of networks that are joined stage by stage are made of the first one's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.ensemble.member_input import MemberInput
from napari_sartorius.zoo.ensemble_checks import check_joinable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.inference.prepare import PreparedImage
    from napari_sartorius.zoo.card import ModelCard


def member_inputs(
    cards: Sequence[ModelCard], prepared: Sequence[PreparedImage]
) -> list[MemberInput]:
    """Scale, grey levels and channels of each network in terms of the first.

    Parameters
    ----------
    cards
        Of the networks, in their order.
    prepared
        The image as each wants it.

    Raises
    ------
    ValueError
        When the input of one cannot be made of that of another.
    """
    check_joinable(cards)
    first, (lead, own) = prepared[0], (cards[0], prepared[0].scaling)
    offset, gain = np.atleast_1d(own.offset), np.atleast_1d(own.gain)
    result = []
    for card, one in zip(cards, prepared, strict=True):
        other = one.scaling
        its_offset, its_gain = np.atleast_1d(other.offset), np.atleast_1d(other.gain)
        # x = (p - offset) gain: the pixel p, or for a constant image its only value.
        ratio = np.divide(its_gain, gain, out=np.zeros_like(its_gain * gain), where=gain != 0)
        shift = (offset - its_offset) * its_gain
        same = card.input_channels == lead.input_channels
        result.append(
            MemberInput(
                scale=first.rescaler.to_image[0] / one.rescaler.to_image[0],
                gain=tuple(float(value) for value in np.atleast_1d(ratio)),
                offset=tuple(float(value) for value in np.atleast_1d(shift)),
                channels=None if same else card.input_channels,
            )
        )
    return result
