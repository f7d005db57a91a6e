"""The one thing that travels between the rooms: all objects of one image, as equal columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core import flat
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.regions import region_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from napari_sartorius.core.flat import Index


@dataclass(eq=False)
class Instances:
    """Objects of one image: equal-length columns and the image's size.

    Parameters
    ----------
    image_size : (height, width)
        Size of the image in pixels.
    boxes : (N, 4) float32
        xyxy in pixel edge coordinates: pixel i covers [i, i + 1].
    scores : (N,) float32
        Confidence, 0 to 1; annotations have 1.
    categories : (N,) int64
        0-based index into the model's or file's table of categories.
    masks : CropMasks
        N masks on an image of the same size.
    columns : dict of str to (N,) array
        Whatever else is known per object: source, agreement, ...

    Raises
    ------
    ValueError
        If a column has another length than the masks or the image sizes differ.
    """

    image_size: tuple[int, int]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    categories: NDArray[np.int64]
    masks: CropMasks
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.image_size = (int(self.image_size[0]), int(self.image_size[1]))
        self.boxes = np.asarray(self.boxes, dtype=np.float32).reshape(-1, 4)
        self.scores = np.asarray(self.scores, dtype=np.float32)
        self.categories = np.asarray(self.categories, dtype=np.int64)
        self.columns = {name: np.asarray(column) for name, column in self.columns.items()}
        if self.masks.image_size != self.image_size:
            raise ValueError(
                f"masks lie on an image of {self.masks.image_size}, instances of {self.image_size}"
            )
        shapes = {"boxes": self.boxes.shape[:1], "scores": self.scores.shape}
        shapes |= {"categories": self.categories.shape}
        shapes |= {name: column.shape[:1] for name, column in self.columns.items()}
        for name, shape in shapes.items():
            if shape != (len(self.masks),):
                raise ValueError(f"expected {len(self.masks)} {name}, got shape {shape}")

    @classmethod
    def empty(cls, image_size: tuple[int, int]) -> Instances:
        """Return no objects on an image of `image_size` (height, width)."""
        return cls.from_masks(CropMasks.empty(image_size))

    @classmethod
    def from_masks(
        cls,
        masks: CropMasks,
        scores: ArrayLike | None = None,
        categories: ArrayLike | None = None,
    ) -> Instances:
        """Make objects from masks: boxes are tight, scores 1 and categories 0 unless given."""
        count = len(masks)
        return cls(
            image_size=masks.image_size,
            boxes=masks.bounding_boxes(),
            scores=np.ones(count, np.float32) if scores is None else np.asarray(scores),
            categories=np.zeros(count, np.int64) if categories is None else np.asarray(categories),
            masks=masks,
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Instances]) -> Instances:
        """Join objects of the same image, in order; at least one part is needed.

        Extra columns must be the same in all parts that hold objects.
        """
        masks = CropMasks.concatenate([part.masks for part in parts])
        filled = [part for part in parts if len(part)] or list(parts[:1])
        names = set(filled[0].columns)
        if any(set(part.columns) != names for part in filled):
            raise ValueError("the parts have different extra columns")
        return cls(
            image_size=masks.image_size,
            boxes=np.concatenate([part.boxes for part in parts]),
            scores=np.concatenate([part.scores for part in parts]),
            categories=np.concatenate([part.categories for part in parts]),
            masks=masks,
            columns={
                name: np.concatenate([part.columns[name] for part in filled])
                for name in filled[0].columns
            },
        )

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: Index) -> Instances:
        """Return the chosen objects (int, slice, int array or bool array of length N)."""
        chosen = flat.chosen(index, len(self))
        return Instances(
            image_size=self.image_size,
            boxes=self.boxes[chosen],
            scores=self.scores[chosen],
            categories=self.categories[chosen],
            masks=self.masks[chosen],
            columns={name: column[chosen] for name, column in self.columns.items()},
        )

    def sort_by_score(self) -> Instances:
        """Return the objects, highest score first; equal scores keep their order."""
        return self[np.argsort(-self.scores, kind="stable")]

    def with_masks(self, masks: CropMasks) -> Instances:
        """Return the objects with other masks (as many), and boxes tight around these."""
        return Instances(
            image_size=self.image_size,
            boxes=masks.bounding_boxes(),
            scores=self.scores,
            categories=self.categories,
            masks=masks,
            columns=dict(self.columns),
        )

    def to_labels(self) -> tuple[NDArray[np.integer[Any]], dict[str, NDArray[Any]]]:
        """Return a label image (H, W) and the table of its labels.

        Label i + 1 is object i; where objects overlap the earlier one is on top.
        """
        return self.masks.to_labels(), self.table()

    def table(
        self,
        pixel_size_um: float | tuple[float, float] | None = None,
        category_names: Sequence[str] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return what is known about each object as columns of equal length.

        Parameters
        ----------
        pixel_size_um : float or (y, x), optional
            Side of a pixel in micrometres; adds columns ending in ``_um`` and ``_um2``.
        category_names : sequence of str, optional
            Names by category index; without them the column ``category`` holds the index.

        Returns
        -------
        dict of str to (N,) array
            First ``index`` (label, 1 to N), ``score``, ``category``, then the columns of
            `regions.region_table`, then the extra columns that have other names.
        """
        categories: NDArray[Any] = self.categories
        if category_names is not None:
            categories = np.array([category_names[c] for c in self.categories.tolist()], np.str_)
        table: dict[str, NDArray[Any]] = {
            "index": np.arange(1, len(self) + 1),
            "score": self.scores,
            "category": categories,
            **region_table(self.masks, pixel_size_um),
        }
        return table | {k: v for k, v in self.columns.items() if k not in table}
