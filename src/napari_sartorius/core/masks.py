"""Masks of thousands of cells in little memory: each cropped to its box, all in one flat buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core import flat, labels, overlap, packing, rle, runs
from napari_sartorius.core.crop_buffer import CropBuffer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray


class CropMasks(CropBuffer):
    """N binary masks of one image, each stored as a small bitmap with an offset.

    Treat it as immutable: results share memory with what they were made from where possible.
    `CropBuffer` stores them and looks at them; here is what they are made from, compared by,
    written as and changed into.

    Parameters
    ----------
    bits : (total,) uint8 or bool
        0 or 1; the bitmaps row by row, one after the other.
    boxes : (N, 4) int
        xyxy in pixels, exclusive right and bottom, inside the image; tight or loose. Boxes
        without pixels are allowed and stand for empty masks.
    image_size : (height, width)
        Size of the image in pixels.

    Raises
    ------
    ValueError
        If a box leaves the image or has a negative side, or the buffer has the wrong length.
    """

    __slots__ = ()

    # -- making ---------------------------------------------------------------------------------

    @classmethod
    def from_bitmaps(
        cls,
        bitmaps: Sequence[NDArray[Any]],
        origins: ArrayLike,
        image_size: tuple[int, int],
    ) -> CropMasks:
        """Put bitmaps at their places; what sticks out of the image is cut off.

        Parameters
        ----------
        bitmaps : sequence of (h, w) bool or int
            Non-zero is set.
        origins : (N, 2) int
            x and y of each bitmap's top left pixel; may lie outside the image.
        image_size : (height, width)
            Size of the image in pixels.
        """
        return cls(*packing.pack(bitmaps, origins, image_size), image_size)

    @classmethod
    def from_full(cls, stack: NDArray[Any]) -> CropMasks:
        """Crop full-frame masks, (N, H, W) with non-zero set, to tight boxes."""
        stack = np.asarray(stack)
        if stack.ndim != 3:
            raise ValueError(f"expected masks of shape (N, H, W), got {stack.shape}")
        return cls.from_bitmaps(*packing.crop_frames(stack), (stack.shape[1], stack.shape[2]))

    @classmethod
    def from_labels(cls, label_image: NDArray[Any]) -> tuple[CropMasks, NDArray[np.int64]]:
        """Split a label image into one mask per label.

        Parameters
        ----------
        label_image : (H, W) int
            0 is background; a label may have several parts.

        Returns
        -------
        masks : CropMasks
            One per label that occurs, tight.
        ids : (N,) int64
            The labels, ascending.
        """
        found, ids = labels.label_runs(np.asarray(label_image))
        bits, extents = runs.bits_of_runs(found, len(ids))
        size = (label_image.shape[0], label_image.shape[1])
        return cls(bits, extents[:, [1, 0, 3, 2]], size), ids

    @classmethod
    def from_rle(cls, rles: Sequence[Mapping[str, Any]], image_size: tuple[int, int]) -> CropMasks:
        """Read COCO run-length codes, compressed (str, bytes) or uncompressed (list of int).

        Parameters
        ----------
        rles : sequence of dict
            ``{"size": [height, width], "counts": ...}``, column-major.
        image_size : (height, width)
            Size of the image in pixels.

        Raises
        ------
        UserError
            If a code is damaged or belongs to an image of another size.
        """
        positions = rle.read_coco(rles, image_size)
        found = runs.split_at_line_ends(*positions, max(image_size[0], 1))
        bits, extents = runs.bits_of_runs(found, len(rles))
        # Lines were columns: the bitmaps are transposed.
        offsets = flat.offsets_of(extents)
        return cls(flat.transposed(bits, extents[:, [1, 0, 3, 2]], offsets), extents, image_size)

    @classmethod
    def from_kaggle_rle(cls, texts: Sequence[str], image_size: tuple[int, int]) -> CropMasks:
        """Read Kaggle run-length codes, ``"start length ..."``, row-major from 1.

        Raises
        ------
        UserError
            If a code does not hold pairs of whole numbers or a run leaves the image.
        """
        positions = rle.read_kaggle(texts, image_size)
        found = runs.split_at_line_ends(*positions, max(image_size[1], 1))
        bits, extents = runs.bits_of_runs(found, len(texts))
        return cls(bits, extents[:, [1, 0, 3, 2]], image_size)

    # -- comparing ------------------------------------------------------------------------------

    def overlaps(
        self, other: CropMasks | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Find the pairs of masks that share pixels.

        Parameters
        ----------
        other : CropMasks, optional
            Masks of the same image. When left out, pairs i < j within these masks are returned.

        Returns
        -------
        rows, cols : (P,) int64
            The pairs, ordered by row, then column.
        intersections : (P,) int64
            Number of pixels that both have, at least 1.
        """
        second = self if other is None else other
        if second.image_size != self.image_size:
            raise ValueError(
                f"expected masks of one image size, got {self.image_size} and {second.image_size}"
            )
        rows, cols = overlap.overlapping_boxes(self.boxes, None if other is None else other.boxes)
        shared = overlap.intersections(
            self.bits,
            self.offsets[rows],
            self.boxes[rows],
            second.bits,
            second.offsets[cols],
            second.boxes[cols],
        )
        some = shared > 0
        return rows[some], cols[some], shared[some]

    def iou(self, other: CropMasks) -> NDArray[np.float32]:
        """Return intersection over union of every pair, (N, M) float32; empty masks have 0."""
        result = np.zeros((len(self), len(other)), np.float32)
        rows, cols, shared = self.overlaps(other)
        result[rows, cols] = shared / (self.area()[rows] + other.area()[cols] - shared)
        return result

    # -- writing --------------------------------------------------------------------------------

    def to_rle(self) -> list[dict[str, Any]]:
        """Return compressed COCO run-length codes, ``{"size": [H, W], "counts": str}`` each."""
        height, width = self.image_size
        bits = flat.transposed(self.bits, self.boxes, self.offsets)
        wide = self.boxes.astype(np.int64)
        found = runs.runs_of_bits(bits, self.offsets, wide[:, 3] - wide[:, 1], wide[:, :2])
        positions = runs.join_at_line_ends(found, height)
        counts, lengths = rle.counts_of_runs(*positions, len(self), height * width)
        return [{"size": [height, width], "counts": s} for s in rle.compress(counts, lengths)]

    def to_kaggle_rle(self) -> list[str]:
        """Return Kaggle run-length codes, ``"start length ..."``, row-major from 1."""
        wide = self.boxes.astype(np.int64)
        found = runs.runs_of_bits(self.bits, self.offsets, wide[:, 2] - wide[:, 0], wide[:, [1, 0]])
        return rle.write_kaggle(*runs.join_at_line_ends(found, self.image_size[1]), len(self))

    def to_labels(
        self, ids: ArrayLike | None = None, dtype: Any | None = None
    ) -> NDArray[np.integer[Any]]:
        """Paint the masks into a label image, (H, W); earlier masks win over later ones.

        Parameters
        ----------
        ids : (N,) int, optional
            Label of each mask, at least 1; 1 to N when left out.
        dtype : dtype, optional
            The smallest unsigned type that holds the labels when left out.
        """
        values = np.arange(1, len(self) + 1) if ids is None else np.asarray(ids)
        if values.shape != (len(self),):
            raise ValueError(f"expected {len(self)} ids, got shape {values.shape}")
        return labels.paint(self.bits, self.boxes, self.offsets, self.image_size, values, dtype)

    # -- changing -------------------------------------------------------------------------------

    def remove_overlap(self, order: ArrayLike | None = None) -> CropMasks:
        """Leave every pixel to the first mask that covers it.

        Parameters
        ----------
        order : (N,) int, optional
            Indices of the masks, first to last; as they stand when left out.

        Returns
        -------
        CropMasks
            As many masks, in the old order; some may be empty now.
        """
        first_to_last = np.arange(len(self)) if order is None else np.asarray(order, np.int64)
        if not np.array_equal(np.sort(first_to_last), np.arange(len(self))):
            raise ValueError("order must name every mask exactly once")
        bits = overlap.without_earlier(self.bits, self.boxes, self.offsets, first_to_last)
        return CropMasks(bits, self.boxes, self.image_size)

    def crop(self, x0: int, y0: int, x1: int, y1: int) -> tuple[CropMasks, NDArray[np.bool_]]:
        """Cut a window out of the image.

        Parameters
        ----------
        x0, y0, x1, y1 : int
            The window in pixels, exclusive right and bottom; it may reach beyond the image.

        Returns
        -------
        masks : CropMasks
            Masks with pixels in the window, tight, in coordinates of the window.
        keep : (N,) bool
            Which masks these are.
        """
        if x1 < x0 or y1 < y0:
            raise ValueError(f"window ({x0}, {y0}, {x1}, {y1}) has a negative side")
        clipped = np.concatenate(
            [np.maximum(self.boxes[:, :2], (x0, y0)), np.minimum(self.boxes[:, 2:], (x1, y1))],
            axis=1,
        )
        near = np.flatnonzero(np.all(clipped[:, 2:] > clipped[:, :2], axis=1))
        inside = self[near]._cut_to(clipped[near].astype(np.int32)).tight()
        some = inside.offsets[1:] > inside.offsets[:-1]
        keep = np.zeros(len(self), np.bool_)
        keep[near[some]] = True
        inside = inside[some]
        boxes = inside.boxes - np.array([x0, y0, x0, y0], np.int32)
        return CropMasks(inside.bits, boxes, (y1 - y0, x1 - x0)), keep

    def translate(self, dx: int, dy: int, image_size: tuple[int, int]) -> CropMasks:
        """Move all masks by (dx, dy) pixels into an image of `image_size`, cutting overhang."""
        height, width = image_size
        shift = np.array([dx, dy, dx, dy], np.int64)
        moved = self.boxes + shift
        clipped = np.clip(moved, 0, [width, height, width, height])
        gone = np.any(clipped[:, 2:] <= clipped[:, :2], axis=1)
        clipped[gone] = 0
        inner = np.where(gone[:, None], 0, clipped - shift)
        cut = self._cut_to(inner.astype(np.int32))
        return CropMasks(cut.bits, clipped, image_size)

    def flip_horizontal(self) -> CropMasks:
        """Mirror left and right."""
        boxes = self.boxes.copy()
        boxes[:, [0, 2]] = self.image_size[1] - self.boxes[:, [2, 0]]
        bits = flat.flipped_horizontally(self.bits, self.boxes, self.offsets)
        return CropMasks(bits, boxes, self.image_size)

    def flip_vertical(self) -> CropMasks:
        """Mirror top and bottom."""
        boxes = self.boxes.copy()
        boxes[:, [1, 3]] = self.image_size[0] - self.boxes[:, [3, 1]]
        bits = flat.flipped_vertically(self.bits, self.boxes, self.offsets)
        return CropMasks(bits, boxes, self.image_size)

    def transpose(self) -> CropMasks:
        """Swap rows and columns."""
        bits = flat.transposed(self.bits, self.boxes, self.offsets)
        return CropMasks(bits, self.boxes[:, [1, 0, 3, 2]], self.image_size[::-1])
