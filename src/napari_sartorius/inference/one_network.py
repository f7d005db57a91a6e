"""One network that looks at tiles: its views are fused, and masks pasted into the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.found import Found
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.paste import paste
from napari_sartorius.ensemble.mean_of_views import fuse_views
from napari_sartorius.inference.network import NetworkRunner
from napari_sartorius.inference.prepare import PreparedImage
from napari_sartorius.inference.result import Stopwatch
from napari_sartorius.inference.selection import Selection
from napari_sartorius.inference.tiling import Tile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.inference.tile_walk import AfterLook


@dataclass(frozen=True, eq=False)
class OneNetwork:
    """A network, or several that were joined into one.

    Attributes
    ----------
    network
        Looks at windows.
    selection
        Every limit that can drop an object.
    prepared
        The image; tiles are in pixels of its network input.
    watch
        Where time is noted.
    labels : (K,) int64, optional
        Category for each of the network's classes, where their orders differ.
    """

    network: NetworkRunner
    selection: Selection
    prepared: PreparedImage
    watch: Stopwatch
    labels: NDArray[np.int64] | None = None

    @property
    def views(self) -> int:
        """Looks at one tile."""
        return len(self.network.views)

    def look(
        self,
        tiles: Sequence[Tile],
        padded: tuple[int, int],
        at_once: int,
        after_look: AfterLook,
    ) -> list[SeenByOne]:
        """Look at tiles in all views."""
        with self.watch.measure("prepare"):
            windows = [self.prepared.window(tile.window) for tile in tiles]
        with self.watch.measure("network"):
            limits = self.selection.network_limits(self.views, self.labels)
            limits = replace(limits, part=any(tile.is_part for tile in tiles))
            found = self.network.run(windows, padded, limits, at_once, after_look)
        return [SeenByOne(self, tile, views) for tile, views in zip(tiles, found, strict=True)]

    def draw(self, views: Sequence[Found], tile: Tile) -> Instances:
        """Fuse the views of a tile and put its confident objects at their place in the image."""
        if self.labels is not None:
            views = [view.relabelled(self.labels) for view in views]
        found, agreement = fuse_views(views, self.selection.confident)
        scale, size = self.prepared.rescaler.to_image, self.prepared.image_size
        corner = np.array([tile.window.x0, tile.window.y0] * 2, np.float32)
        boxes = (found.boxes + corner) * np.array([scale[1], scale[0]] * 2, np.float32)
        limits, whole = self.selection.mask[found.labels], self.selection.whole_pixels
        masks = paste(found.mask_probs, boxes, size, limits, whole)
        columns = found.columns | ({"agreement": agreement} if len(views) > 1 else {})
        columns |= self.selection.confidence(found, boxes, size)
        return Instances(size, boxes, found.scores, found.labels, masks, columns)


@dataclass(frozen=True, eq=False)
class SeenByOne:
    """What a network found in each view of one tile."""

    eyes: OneNetwork
    tile: Tile
    views: list[Found]

    @property
    def capped(self) -> bool:
        """Whether a limit may have cost wanted objects."""
        return any(view.capped for view in self.views)

    def draw(self) -> Instances:
        """Confident objects in pixels of the image."""
        with self.eyes.watch.measure("paste"):
            return self.eyes.draw(self.views, self.tile)
