"""CenterMask2 and its Lite variants, and LIVECell's anchor-free models, which are such networks."""

from napari_sartorius.zoo.checkpoints.centermask.format import CENTERMASK

__all__ = ["CENTERMASK"]
