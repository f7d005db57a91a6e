"""Goes through the tiles of an image and looks again, closer, where a tile holds too many objects.

A network returns a limited number of objects. A tile that reached such a limit is cut into
overlapping parts that are looked at on their own; their seams are joined like all others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.paste import paste
from napari_sartorius.ensemble.mean_of_views import fuse_views
from napari_sartorius.inference.network import NetworkRunner
from napari_sartorius.inference.prepare import PreparedImage
from napari_sartorius.inference.result import NoticeBook, Stopwatch
from napari_sartorius.inference.selection import Selection
from napari_sartorius.inference.tiling import Tile, TilePlan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_sartorius.core.found import Found
    from napari_sartorius.inference.config import SegmentConfig


@dataclass(frozen=True, eq=False)
class FoundInTile:
    """Confident objects of a tile in image pixels, and whether a limit has cost some."""

    tile: Tile
    instances: Instances
    capped: bool


@dataclass(frozen=True, eq=False)
class TileWalk:
    """One walk over one image.

    Attributes
    ----------
    network
        Looks at windows.
    selection
        Every limit that can drop an object.
    prepared
        The image.
    split
        Gives the parts of a tile, or None when it must stay whole.
    watch, book
        Where time and cancelling are noted.
    """

    network: NetworkRunner
    selection: Selection
    prepared: PreparedImage
    split: Callable[[Tile], TilePlan | None]
    watch: Stopwatch
    book: NoticeBook

    def find(self, plan: TilePlan, batch: int) -> Iterator[FoundInTile]:
        """Objects tile by tile, `batch` looks at once; of a split tile part by part."""
        step = max(1, batch // len(self.network.views))
        for start in range(0, len(plan.tiles), step):
            self.book.check()
            tiles = plan.tiles[start : start + step]
            for tile, views in zip(tiles, self._look(tiles, plan.padded, batch), strict=True):
                capped = any(view.capped for view in views)
                parts = self.split(tile) if capped else None
                if parts is None:
                    with self.watch.measure("paste"):
                        instances = self._paste(views, tile)
                    yield FoundInTile(tile, instances, capped)
                else:
                    yield from self.find(parts, batch)

    def _look(
        self, tiles: Sequence[Tile], padded: tuple[int, int], at_once: int
    ) -> list[list[Found]]:
        with self.watch.measure("prepare"):
            windows = [self.prepared.window(tile.window) for tile in tiles]
        with self.watch.measure("network"):
            limits = self.selection.network_limits(len(self.network.views))
            return self.network.run(windows, padded, limits, at_once)

    def _paste(self, views: Sequence[Found], tile: Tile) -> Instances:
        """Fuse the views of a tile and put its confident objects at their place in the image."""
        found, agreement = fuse_views(views, self.selection.confident)
        scale, size = self.prepared.rescaler.to_image, self.prepared.image_size
        corner = np.array([tile.window.x0, tile.window.y0] * 2, np.float32)
        boxes = (found.boxes + corner) * np.array([scale[1], scale[0]] * 2, np.float32)
        limits, whole = self.selection.mask[found.labels], self.selection.whole_pixels
        masks = paste(found.mask_probs, boxes, size, limits, whole)
        columns = found.columns | ({"agreement": agreement} if len(views) > 1 else {})
        return Instances(size, boxes, found.scores, found.labels, masks, columns)


def cap_words(capped: int, tiles: int, config: SegmentConfig, selection: Selection) -> str:
    """Say that `capped` of so many tiles reached a limit, and what can be done about it."""
    where = "the image" if tiles == 1 else f"{capped} of {tiles} tiles"
    if selection.own_limit:
        return (
            f"{where} reached the model's own limit of {selection.max_objects} objects or its "
            "limit on proposals, as where the model comes from; set max_objects_per_tile (in "
            "napari: Most / tile) to find more"
        )
    even, remedy = "", "raise the limit or choose smaller tiles"
    if config.tile == "auto":
        even, remedy = ", although tiles were made as small as is sensible", "raise the limit"
    return (
        f"{where} reached a limit on the number of objects{even} (max_objects_per_tile is "
        f"{selection.max_objects}), so cells may be missing; {remedy}"
    )
