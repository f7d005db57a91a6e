"""SOLOv2: objects as cells of grids, masks by kernels that the network makes for each of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from napari_sartorius.nn.config.pyramid import PyramidConfig
from napari_sartorius.nn.config.timm_trunk import TrunkConfig
from napari_sartorius.nn.config.tree import Tree
from napari_sartorius.nn.config.trunks import AnyTrunk


class GridConfig(Tree):
    """A grid laid over the input; each of its cells may hold one object.

    Parameters
    ----------
    stride
        Side of a cell in input pixels. The paper divides every image into a fixed number of cells;
        here a larger image has more of them, since it shows more objects.
    objects
        Smallest and largest object of this grid: geometric mean of the sides of its box, input
        pixels. Ranges may overlap: an object is then learnt by several grids.
    """

    stride: int = Field(ge=2)
    objects: tuple[float, float]


class GridHeadConfig(Tree):
    """3x3 convolutions with group normalisation before the categories and the kernels of cells."""

    layers: int = Field(default=4, ge=1)
    width: int = Field(default=128, ge=1)
    groups: int = Field(default=16, ge=1)


class MaskFeatureConfig(Tree):
    """The one map that all kernels are applied to, at the finest stride of the pyramid.

    Parameters
    ----------
    width
        Channels while the levels of the pyramid are merged.
    channels
        Channels of the map, and length of a kernel.
    groups
        Groups of the normalisation.
    """

    width: int = Field(default=64, ge=1)
    channels: int = Field(default=128, ge=1)
    groups: int = Field(default=16, ge=1)


class MatrixNMSConfig(Tree):
    """Matrix NMS: how much a mask that overlaps a better one loses of its score.

    Parameters
    ----------
    kernel
        ``gaussian``: exp(-sigma * iou^2); ``linear``: 1 - iou.
    sigma
        Steepness of the Gaussian.
    candidates
        Most masks that take part, for an image of `candidate_area` pixels; proportionally more for
        a larger one.
    """

    kernel: Literal["gaussian", "linear"] = "gaussian"
    sigma: float = Field(default=2.0, gt=0)
    candidates: int = Field(default=1000, ge=1)
    candidate_area: int = Field(default=512 * 512, ge=1)


class SOLOv2Config(Tree):
    """SOLOv2 (Wang et al. 2020) with grids and coordinates that do not depend on the image's size.

    Parameters
    ----------
    grids
        From fine to coarse. The finest should not be coarser than cells are apart: with 8 pixels
        2 to 6 in 1000 cells of dense phase contrast share a grid cell with another, with the
        paper's 40 x 40 grid 50 to 100.
    centre_region
        Share of an object's box around its centre of mass whose grid cells learn it.
    wavelengths
        A mask knows places by cosines and sines of the distance from the cell that made it, of
        these lengths in input pixels, so a kernel is the same wherever its cell lies and what is
        learnt on crops holds on images of any size. Empty: the paper's two ramps from -1 to 1
        across the image, which fit images of the one size that was learnt.
    reach
        No mask reaches further than this from the cell that made it, in units of its grid's
        largest object, nor further than half the longest wavelength. In the paper every mask may
        lie anywhere, so a network must have learnt to keep cells apart over any distance: one that
        learnt on crops then takes alike cells far away for one object.
    mask_side
        Masks are handed on as squares of this side over their boxes. Boxes up to `mask_side`
        times the finest stride lose nothing by it.
    smallest_area
        Masks of at most so many input pixels are dropped.
    kernels_per_image
        Most cells whose masks one training image compares with the truth, drawn at random.
    mask_weight
        Weight of the mask's loss beside that of the categories.
    """

    family: Literal["solov2"] = "solov2"
    num_classes: int = Field(ge=1)
    trunk: AnyTrunk = TrunkConfig()
    pyramid: PyramidConfig = PyramidConfig()
    grids: tuple[GridConfig, ...] = Field(
        default=(
            GridConfig(stride=8, objects=(0.0, 48.0)),
            GridConfig(stride=16, objects=(32.0, 128.0)),
            GridConfig(stride=32, objects=(96.0, 100000.0)),
        ),
        min_length=1,
    )
    head: GridHeadConfig = GridHeadConfig()
    mask_feature: MaskFeatureConfig = MaskFeatureConfig()
    nms: MatrixNMSConfig = MatrixNMSConfig()
    centre_region: float = Field(default=0.2, gt=0, le=1)
    wavelengths: tuple[float, ...] = (32.0, 128.0, 512.0)
    reach: float = Field(default=1.5, gt=0)
    mask_side: int = Field(default=56, ge=8)
    smallest_area: float = Field(default=12.0, ge=0)
    kernels_per_image: int = Field(default=256, ge=1)
    mask_weight: float = Field(default=3.0, gt=0)

    @model_validator(mode="after")
    def _whole(self) -> SOLOv2Config:
        for finer, coarser in zip(self.grids, self.grids[1:], strict=False):
            if coarser.stride < finer.stride or coarser.objects[0] > finer.objects[1]:
                raise ValueError(
                    "grids go from fine to coarse and leave no gap between their objects' sizes"
                )
        if any(grid.objects[0] >= grid.objects[1] for grid in self.grids):
            raise ValueError("a grid's largest object must be larger than its smallest")
        for part, sizes in (
            (self.head, (self.head.width,)),
            (self.mask_feature, (self.mask_feature.width, self.mask_feature.channels)),
        ):
            if any(size % part.groups for size in sizes):
                raise ValueError("the groups of a normalisation must divide its channels")
        if any(length <= 0 for length in self.wavelengths):
            raise ValueError("wavelengths must be positive")
        return self

    @property
    def reaches(self) -> tuple[float, ...]:
        """How far a mask of each grid may reach from its cell, input pixels."""
        most = max(self.wavelengths) / 2 if self.wavelengths else float("inf")
        return tuple(min(self.reach * grid.objects[1], most) for grid in self.grids)

    @property
    def smallest_object(self) -> float:
        """Side of a cell of the finest grid, pixels."""
        return float(self.grids[0].stride)
