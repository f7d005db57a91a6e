"""One walk over an image from the plan of its tiles to objects joined at the seams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Monitor, SubMonitor
from napari_sartorius.inference import memory
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.prepare import PreparedImage
from napari_sartorius.inference.seams import join_tiles, to_image_tile
from napari_sartorius.inference.selection import Selection
from napari_sartorius.inference.tile_walk import Eyes, FoundInTile, TileWalk, cap_words
from napari_sartorius.inference.tiling import Tile, TilePlan, split_tile

if TYPE_CHECKING:
    from napari_sartorius.inference.memory import Effort
    from napari_sartorius.inference.result import Stopwatch
    from napari_sartorius.zoo.card import ModelCard

# Tiles share at least this many network pixels: context that a convolution needs to see a border.
_SMALLEST_OVERLAP = 96
# Cells are up to this many times longer than the card's typical diameter; longer ones are merged.
_LONGEST_CELL = 3.0
# Closer than this to a tile's inner border, in network pixels, a box counts as cut.
_CUT_MARGIN = 4.0
# Shares of a walk's progress after which the tiles, and the seams, are done.
TILES_DONE, SEAMS_DONE = 0.95, 0.97


def overlap_of(card: ModelCard) -> int:
    """Network pixels that neighbouring tiles share at least."""
    return max(_SMALLEST_OVERLAP, round(_LONGEST_CELL * card.cell_diameter))


@dataclass(frozen=True, eq=False)
class Swept:
    """Confident objects of the whole image, and how many tiles it took."""

    instances: Instances
    tiles: int


@dataclass(frozen=True, eq=False)
class Sweep:
    """A walk that is about to be made.

    Attributes
    ----------
    eyes
        Who looks.
    selection
        Every limit that can drop an object.
    prepared
        The image, in whose network pixels tiles are laid out.
    config
        The user's wish for tiles.
    overlap
        Network pixels that neighbouring tiles share at least.
    stride
        Tiles begin and end at its multiples.
    whole
        Images of up to this many network pixels are done whole.
    growth
        How much more memory a pixel takes than with one network and one view of usual scale.
    """

    eyes: Eyes
    selection: Selection
    prepared: PreparedImage
    config: SegmentConfig
    overlap: int
    stride: int
    whole: int = 0
    growth: float = 1.0

    def plan(self, effort: Effort) -> tuple[TilePlan, int]:
        """Lay out the tiles, and how many looks go through a network at once."""
        return memory.plan(
            self.prepared.rescaler.size,
            self.config,
            effort,
            scale=1.0 / self.prepared.rescaler.to_image[0],
            overlap=self.overlap,
            stride=self.stride,
            whole=self.whole,
            views=self.eyes.views,
            growth=self.growth,
        )

    def run(self, plan: TilePlan, batch: int, watch: Stopwatch, monitor: Monitor) -> Swept:
        """Look at all tiles and join their seams; running out of memory ends it."""
        scale = self.prepared.rescaler.to_image
        walk = TileWalk(self.eyes, self._split, SubMonitor(monitor, 0.0, TILES_DONE))
        found: list[FoundInTile] = list(walk.find(plan, batch))
        monitor.check()
        capped = sum(one.capped for one in found)
        if capped:
            monitor.notice(cap_words(capped, len(found), self.config, self.selection))
        with watch.measure("seams"):
            # Parts of a split tile go where they belong in the reading order.
            found.sort(key=lambda one: (one.tile.window.y0, one.tile.window.x0))
            joined = join_tiles(
                [one.instances for one in found],
                [to_image_tile(one.tile, scale, self.prepared.image_size) for one in found],
                _CUT_MARGIN * max(scale),
            )
        monitor.progress("seams", SEAMS_DONE)
        monitor.check()
        return Swept(joined, len(found))

    def _split(self, tile: Tile) -> TilePlan | None:
        """Parts of a tile; None when it is small enough, or when it was chosen to be whole.

        The user may have chosen the tiles; and a model with a limit of its own finds no more than
        it does where it comes from, unless the user sets another.
        """
        if self.config.tile != "auto" or self.selection.own_limit:
            return None
        return split_tile(tile, self.overlap, self.stride, memory.SMALLEST_EDGE)
