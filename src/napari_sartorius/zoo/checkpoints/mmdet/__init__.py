"""Checkpoints of mmdetection."""

from napari_sartorius.zoo.checkpoints.mmdet.format import MMDET

__all__ = ["MMDET"]
