"""Mask R-CNN and Cascade Mask R-CNN as detectron2 writes them."""

from napari_sartorius.zoo.checkpoints.detectron2.format import DETECTRON2

__all__ = ["DETECTRON2"]
