"""Goes through the tiles of an image and looks again, closer, where a tile holds too many objects.

A network returns a limited number of objects. A tile that reached such a limit is cut into
overlapping parts that are looked at on their own; their seams are joined like all others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Monitor
from napari_sartorius.core.wording import plural
from napari_sartorius.inference.tiling import Tile, TilePlan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.inference.selection import Selection

AfterLook = Callable[[float], None]
"""Told after each look which share, 0..1, of a batch's looks is done; may raise `Cancelled`."""


class Seen(Protocol):
    """What was seen of one tile."""

    @property
    def capped(self) -> bool:
        """Whether a limit may have cost wanted objects."""

    def draw(self) -> Instances:
        """Confident objects in pixels of the image."""


class Eyes(Protocol):
    """One network or several that look at tiles."""

    @property
    def views(self) -> int:
        """Looks at one tile that can go through a network together."""

    def look(
        self,
        tiles: Sequence[Tile],
        padded: tuple[int, int],
        at_once: int,
        after_look: AfterLook,
    ) -> Sequence[Seen]:
        """Look at tiles of one plan, whose batches of `at_once` are `padded` to that size."""


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
    eyes
        Who looks.
    split
        Gives the parts of a tile, or None when it must stay whole.
    monitor
        Asked between looks whether to go on, and told which share of the image is done.
    """

    eyes: Eyes
    split: Callable[[Tile], TilePlan | None]
    monitor: Monitor

    def find(self, plan: TilePlan, batch: int) -> Iterator[FoundInTile]:
        """Objects tile by tile, `batch` looks at once; of a split tile part by part."""
        whole = plan.image_size[0] * plan.image_size[1]
        done, told = 0, 0.0

        def tell(area: float) -> None:
            nonlocal told
            # Parts of a tile begin behind what was told while the tile was looked at whole.
            told = max(told, area / whole)
            self.monitor.progress("network", min(told, 1.0))

        def tell_more(area: float) -> None:
            tell(done + area)

        for one in self._find(plan, batch, tell_more):
            done += _area(one.tile)
            yield one
            tell(done)

    def _find(
        self, plan: TilePlan, batch: int, tell: Callable[[float], None]
    ) -> Iterator[FoundInTile]:
        step = max(1, batch // self.eyes.views)
        for start in range(0, len(plan.tiles), step):
            self.monitor.check()
            tiles = plan.tiles[start : start + step]
            area = sum(map(_area, tiles))

            def after_look(share: float, area: int = area) -> None:
                if share < 1:
                    tell(share * area)
                    self.monitor.check()

            looks = self.eyes.look(tiles, plan.padded, batch, after_look)
            for tile, seen in zip(tiles, looks, strict=True):
                capped = seen.capped
                parts = self.split(tile) if capped else None
                if parts is None:
                    yield FoundInTile(tile, seen.draw(), capped)
                else:
                    yield from self._find(parts, batch, tell)


_PLACES = "(in napari: Most / tile; on the command line: --max-objects)"


def _area(tile: Tile) -> int:
    height, width = tile.core.shape
    return height * width


def cap_words(capped: int, tiles: int, config: SegmentConfig, selection: Selection) -> str:
    """Say that `capped` of so many tiles reached a limit, and what can be done about it."""
    where = "the image" if tiles == 1 else f"{capped:,} of {plural(tiles, 'tile')}"
    if selection.own_limit:
        return (
            f"{where} reached the model's own limit of {plural(selection.max_objects, 'object')} "
            "or its limit on proposals, as where the model comes from; set max_objects_per_tile "
            f"{_PLACES} to find more"
        )
    even, remedy = "", f"raise the limit {_PLACES} or choose smaller tiles"
    if config.tile == "auto":
        even = ", although tiles were made as small as is sensible"
        remedy = f"raise the limit {_PLACES}"
    return (
        f"{where} reached a limit on the number of objects{even} (max_objects_per_tile is "
        f"{selection.max_objects}), so cells may be missing; {remedy}"
    )
