"""The door: several networks become one that works stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.ensemble.boxes_then_masks import BoxesThenMasks
from napari_sartorius.ensemble.stage_config import StageMeansConfig
from napari_sartorius.ensemble.stage_means import StageMeans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.ensemble.joined import JoinedNetwork
    from napari_sartorius.ensemble.member_input import MemberInput
    from napari_sartorius.ensemble.stage_config import BoxesThenMasksConfig
    from napari_sartorius.nn.network import Network


def join(
    networks: Sequence[Network],
    config: StageMeansConfig | BoxesThenMasksConfig,
    inputs: Sequence[MemberInput] | None = None,
    names: Sequence[str] | None = None,
) -> JoinedNetwork:
    """One network of several, which detects like any other.

    Parameters
    ----------
    networks
        In evaluation mode, on one device. Their categories must be the same, in the same order.
    config
        Strategy and its settings.
    inputs
        How the input of each is made of the joined network's input; equal to it when None.
    names
        What the networks are called in errors; numbers when None.

    Raises
    ------
    UserError
        When there is no network, one cannot be given boxes, or they have different numbers of
        categories.
    """
    if isinstance(config, StageMeansConfig):
        return StageMeans(networks, config, inputs, names)
    return BoxesThenMasks(networks, config, inputs, names)
