"""Every fusion strategy there is: one line each. Torch-free, so that cards can hold the options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter

from napari_sartorius.ensemble.mask_clusters import MaskClusters
from napari_sartorius.ensemble.mean_of_looks import MeanOfLooks
from napari_sartorius.ensemble.weighted_boxes import WeightedBoxes
from napari_sartorius.ensemble.weighted_masks import WeightedMasks
from napari_sartorius.ensemble.weighted_segments import WeightedSegments

if TYPE_CHECKING:
    from napari_sartorius.ensemble.looks import Strategy

FusionConfig = Annotated[
    MeanOfLooks | WeightedBoxes | WeightedSegments | WeightedMasks | MaskClusters,
    Field(discriminator="strategy"),
]
"""The options of any strategy; its `strategy` says which."""


def read_fusion(tree: Any) -> FusionConfig:
    """The options as an object, from plain dictionaries.

    Raises
    ------
    ValidationError
        When the strategy or an entry is unknown, or a value out of its range.
    """
    read: FusionConfig = TypeAdapter(FusionConfig).validate_python(tree)
    return read


def build(config: FusionConfig) -> Strategy:
    """The function that fuses as `config` says."""
    return config.build()
