"""The point head: masks sharper than the mask head's squares, where it matters."""

from __future__ import annotations

from pydantic import Field

from napari_sartorius.nn.config.tree import Tree


class PointHeadConfig(Tree):
    """PointRend on top of a mask head (Kirillov et al. 2020).

    Parameters
    ----------
    layers, width
        Of the small network that looks at one point at a time.
    steps
        How often the mask head's square is doubled when detecting: 2 makes 112 of 28.
    points
        Most uncertain points that are looked at again after each doubling.
    finest
        Input pixels per mask pixel below which a box is not looked at again but only enlarged: a
        mask much finer than the image costs time and shows nothing. 0 refines all as the paper
        does.
    train_points
        Points per box in training.
    oversample, important
        So many times more points are drawn, and this share of `train_points` are the most uncertain
        of them; the rest is uniform.
    """

    layers: int = Field(default=3, ge=1)
    width: int = Field(default=96, ge=1)
    steps: int = Field(default=2, ge=1, le=4)
    points: int = Field(default=784, ge=1)
    finest: float = Field(default=0.5, ge=0)
    train_points: int = Field(default=196, ge=1)
    oversample: float = Field(default=3.0, ge=1)
    important: float = Field(default=0.75, ge=0, le=1)
