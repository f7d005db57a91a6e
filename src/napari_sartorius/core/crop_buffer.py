"""Bitmaps of one image, each cropped to its box, all in one flat buffer: stored and looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from napari_sartorius.core import flat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from napari_sartorius.core.flat import Index


class CropBuffer:
    """What `CropMasks` stores, and what is read off it; made as that is."""

    __slots__ = ("bits", "boxes", "image_size", "offsets")

    bits: NDArray[np.uint8]
    boxes: NDArray[np.int32]
    image_size: tuple[int, int]
    offsets: NDArray[np.int64]

    def __init__(self, bits: ArrayLike, boxes: ArrayLike, image_size: tuple[int, int]) -> None:
        buffer = np.asarray(bits)
        self.bits = np.ascontiguousarray(
            buffer.view(np.uint8) if buffer.dtype == np.bool_ else buffer, dtype=np.uint8
        )
        self.boxes = np.ascontiguousarray(boxes, dtype=np.int32).reshape(-1, 4)
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.offsets = flat.offsets_of(self.boxes)
        height, width = self.image_size
        low, high = self.boxes[:, :2], self.boxes[:, 2:]
        if height < 0 or width < 0:
            raise ValueError(f"image size must not be negative, got {self.image_size}")
        if np.any(low < 0) or np.any(high < low) or np.any(high > np.array([width, height])):
            raise ValueError(f"a mask's box does not lie inside the image of size {image_size}")
        if self.bits.shape != (self.offsets[-1],):
            raise ValueError(
                f"boxes hold {self.offsets[-1]} pixels but the buffer has shape {self.bits.shape}"
            )

    @classmethod
    def empty(cls, image_size: tuple[int, int]) -> Self:
        """Return no masks on an image of `image_size` (height, width)."""
        return cls(np.zeros(0, np.uint8), np.zeros((0, 4), np.int32), image_size)

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Join masks of the same image, in order; at least one part is needed."""
        sizes = {part.image_size for part in parts}
        if len(sizes) != 1:
            raise ValueError(f"expected masks of one image size, got {sorted(sizes)}")
        return cls(
            np.concatenate([part.bits for part in parts]),
            np.concatenate([part.boxes for part in parts]),
            parts[0].image_size,
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        height, width = self.image_size
        return f"{type(self).__name__}({len(self)} masks on {height} x {width})"

    def __getitem__(self, index: Index) -> Self:
        """Return the chosen masks (int, slice, int array or bool array of length N)."""
        chosen = flat.chosen(index, len(self))
        return type(self)(
            flat.gather(self.bits, self.offsets, chosen), self.boxes[chosen], self.image_size
        )

    def __iter__(self) -> Iterator[NDArray[np.bool_]]:
        """Iterate over the bitmaps."""
        return (self.bitmap(i) for i in range(len(self)))

    def bitmap(self, i: int) -> NDArray[np.bool_]:
        """Return mask `i` inside its box as an (h, w) bool view of the buffer."""
        i = range(len(self))[i]
        x0, y0, x1, y1 = self.boxes[i].tolist()
        piece = self.bits[self.offsets[i] : self.offsets[i + 1]]
        return piece.reshape(y1 - y0, x1 - x0).view(np.bool_)

    def full(self, i: int) -> NDArray[np.bool_]:
        """Return mask `i` as an (H, W) bool image."""
        image = np.zeros(self.image_size, np.bool_)
        x0, y0, x1, y1 = self.boxes[i].tolist()
        image[y0:y1, x0:x1] = self.bitmap(i)
        return image

    def area(self) -> NDArray[np.int64]:
        """Return the number of set pixels of each mask, (N,) int64."""
        return flat.areas(self.bits, self.offsets)

    def bounding_boxes(self) -> NDArray[np.float32]:
        """Return tight boxes, (N, 4) float32 xyxy in pixel edges; zeros for empty masks."""
        return flat.tight_boxes(self.bits, self.boxes, self.offsets).astype(np.float32)

    def tight(self) -> Self:
        """Return the same masks with the smallest boxes that hold them."""
        return self._cut_to(flat.tight_boxes(self.bits, self.boxes, self.offsets))

    def _cut_to(self, inner: NDArray[np.int32]) -> Self:
        """Return the masks with smaller boxes; pixels outside them are lost."""
        if np.array_equal(inner, self.boxes):
            return self
        bits = flat.cut(self.bits, self.boxes, self.offsets, inner)
        return type(self)(bits, inner, self.image_size)
