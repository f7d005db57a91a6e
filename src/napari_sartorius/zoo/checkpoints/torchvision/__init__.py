"""Checkpoints of torchvision's detection models."""

from napari_sartorius.zoo.checkpoints.torchvision.format import TorchvisionFormat

__all__ = ["TorchvisionFormat"]
