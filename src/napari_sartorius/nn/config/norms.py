"""What a layer may be normalised by: one word in every tree."""

from __future__ import annotations

from typing import Literal

TrunkNorm = Literal["batch", "frozen", "group"]
"""Normalisation of a trunk.

``batch`` is batch normalisation (needed when training from scratch); ``frozen`` keeps its loaded
statistics and scale when training, for batches of one or two images; ``group`` is group
normalisation with 32 groups (Wu and He 2018). In evaluation ``frozen`` equals ``batch``.
"""

Norm = Literal["batch", "frozen", "group", "none"]
"""Normalisation of pyramids and heads: as `TrunkNorm`, or a bias and no normalisation."""

GROUPS = 32
"""Groups of group normalisation (Wu and He 2018) in detectron2 and mmdetection."""


def check_groups(norm: Norm, width: int) -> None:
    """Refuse a width that group normalisation cannot divide.

    Raises
    ------
    ValueError
        When `norm` is ``group`` and `width` is no multiple of 32.
    """
    if norm == "group" and width % GROUPS:
        raise ValueError(f"group normalisation needs a width that is a multiple of {GROUPS}")
