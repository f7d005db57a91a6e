"""Checkpoints of torchvision's detection models."""

from napari_sartorius.zoo.checkpoints.torchvision.format import TORCHVISION

__all__ = ["TORCHVISION"]
