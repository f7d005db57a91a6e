"""Checkpoints of mmdetection."""

from napari_sartorius.zoo.checkpoints.mmdet.format import MMDetFormat

__all__ = ["MMDetFormat"]
