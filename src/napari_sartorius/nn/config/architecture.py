"""Every family of networks there is: one line each."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag, TypeAdapter

from napari_sartorius.nn.config.cascade import CascadeMaskRCNNConfig
from napari_sartorius.nn.config.centermask import CenterMaskConfig
from napari_sartorius.nn.config.classifier import ImageClassifierConfig
from napari_sartorius.nn.config.detectron2 import Detectron2Config
from napari_sartorius.nn.config.htc import HTCConfig
from napari_sartorius.nn.config.mask_rcnn import MaskRCNNConfig
from napari_sartorius.nn.config.solov2 import SOLOv2Config


def _family(tree: Any) -> str:
    """Trees written before there were several families name none."""
    if isinstance(tree, dict):
        return str(tree.get("family", "mask_rcnn"))
    return str(getattr(tree, "family", "mask_rcnn"))


Architecture = Annotated[
    Annotated[MaskRCNNConfig, Tag("mask_rcnn")]
    | Annotated[CascadeMaskRCNNConfig, Tag("cascade_mask_rcnn")]
    | Annotated[HTCConfig, Tag("htc")]
    | Annotated[ImageClassifierConfig, Tag("classifier")]
    | Annotated[CenterMaskConfig, Tag("centermask")]
    | Annotated[SOLOv2Config, Tag("solov2")]
    | Annotated[Detectron2Config, Tag("detectron2")],
    Discriminator(_family),
]
"""The tree of any network; its `family` says which.

Every family has `family`, `num_classes`, `trunk` and `smallest_object`.
"""


def read_architecture(tree: Any) -> Architecture:
    """The tree as an object, from plain dictionaries and lists.

    Raises
    ------
    ValidationError
        When an entry is unknown, missing or out of its range.
    """
    read: Architecture = TypeAdapter(Architecture).validate_python(tree)
    return read
