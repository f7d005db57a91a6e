"""Mask R-CNN and Cascade Mask R-CNN as detectron2 writes them."""

from napari_sartorius.zoo.checkpoints.detectron2.format import Detectron2Format

__all__ = ["Detectron2Format"]
