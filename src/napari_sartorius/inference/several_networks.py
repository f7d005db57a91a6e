"""Several networks that look at the same tiles, each in its own way; their finds are fused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.found import Found
from napari_sartorius.ensemble.looks import Canvas, Look, Strategy
from napari_sartorius.inference.network import NetworkRunner
from napari_sartorius.inference.prepare import PreparedImage
from napari_sartorius.inference.result import Stopwatch
from napari_sartorius.inference.tiling import Rectangle
from napari_sartorius.nn.detector import DetectLimits

if TYPE_CHECKING:
    from napari_sartorius.core.instances import Instances
    from napari_sartorius.inference.tile_walk import AfterLook
    from napari_sartorius.inference.tiling import Tile


@dataclass(frozen=True, eq=False)
class Looker:
    """One of the networks, and how it sees the image at hand.

    Attributes
    ----------
    network
        Lends the network for a batch.
    model
        Its number among those that look, from 0.
    weight
        How much it counts, above 0.
    prepared
        The image at its scale, in its grey levels and channels.
    limits
        What may drop an object in the network.
    labels : (K,) int64
        Category for each of the network's classes.
    """

    network: Callable[[], AbstractContextManager[NetworkRunner]]
    model: int
    weight: float
    prepared: PreparedImage
    limits: DetectLimits
    labels: NDArray[np.int64]

    def window(self, part: Rectangle, common: PreparedImage) -> Rectangle:
        """The pixels of this network's input that show a part of another one's."""
        size = self.prepared.rescaler.size
        if size == common.rescaler.size:
            return part
        (y, x), (own_y, own_x) = common.rescaler.to_image, self.prepared.rescaler.to_image
        y0, y1 = _span(part.y0, part.y1, y / own_y, size[0])
        x0, x1 = _span(part.x0, part.x1, x / own_x, size[1])
        return Rectangle(y0, x0, y1, x1)

    def in_image(self, found: Found, window: Rectangle, columns: Sequence[str]) -> Found:
        """What was found in a window, in pixels of the image and in the ensemble's categories."""
        scale = self.prepared.rescaler.to_image
        corner = np.array([window.x0, window.y0] * 2, np.float32)
        return replace(
            found.relabelled(self.labels),
            boxes=(found.boxes + corner) * np.array([scale[1], scale[0]] * 2, np.float32),
            columns={name: found.columns[name] for name in columns},
        )


@dataclass(frozen=True, eq=False)
class SeveralNetworks:
    """Looks with one network after the other, so that only one needs memory for its activations.

    Attributes
    ----------
    lookers
        The networks, in the order in which they look.
    common
        The image in whose network pixels tiles are laid out.
    strategy
        Fuses what they find.
    canvas
        Where fused objects are drawn.
    watch
        Where time is noted.
    views
        Looks of one network at one tile.
    """

    lookers: Sequence[Looker]
    common: PreparedImage
    strategy: Strategy
    canvas: Canvas
    watch: Stopwatch
    views: int

    def look(
        self,
        tiles: Sequence[Tile],
        padded: tuple[int, int],
        at_once: int,
        after_look: AfterLook,
    ) -> list[SeenBySeveral]:
        """Look at tiles with every network in all its views."""
        count = len(self.lookers)
        of_larger = any(tile.is_part for tile in tiles)
        seen: list[list[_Raw]] = [[] for _ in tiles]
        for number, looker in enumerate(self.lookers):
            with self.watch.measure("prepare"):
                parts = [looker.window(tile.window, self.common) for tile in tiles]
                windows = [looker.prepared.window(part) for part in parts]
            with self.watch.measure("network"), looker.network() as runner:
                stride = runner.detector.size_divisibility
                alike = looker.prepared.rescaler.size == self.common.rescaler.size
                found = runner.run(
                    windows,
                    _padded(parts, stride, padded if alike else (0, 0)),
                    replace(looker.limits, part=of_larger),
                    at_once,
                    lambda share, n=number: after_look((n + share) / count),  # type: ignore[misc]
                )
            for raw, part, views in zip(seen, parts, found, strict=True):
                raw.extend(_Raw(looker, part, number, one) for number, one in enumerate(views))
        return [SeenBySeveral(self, raw) for raw in seen]


@dataclass(frozen=True, eq=False)
class _Raw:
    """What one network found in one view of a window, in pixels of that window."""

    looker: Looker
    window: Rectangle
    view: int
    found: Found


@dataclass(frozen=True, eq=False)
class SeenBySeveral:
    """What all networks found in one tile."""

    eyes: SeveralNetworks
    raw: list[_Raw]

    @property
    def capped(self) -> bool:
        """Whether a limit may have cost wanted objects in any look."""
        return any(one.found.capped for one in self.raw)

    def draw(self) -> Instances:
        """Confident fused objects in pixels of the image."""
        with self.eyes.watch.measure("fuse"):
            # Families of networks know different things of their objects; all must know it here.
            known = set.intersection(*(set(one.found.columns) for one in self.raw))
            columns = [name for name in self.raw[0].found.columns if name in known]
            looks = [
                Look(
                    one.looker.in_image(one.found, one.window, columns),
                    one.looker.model,
                    one.view,
                    one.looker.weight,
                )
                for one in self.raw
            ]
            return self.eyes.strategy(looks, self.eyes.canvas)


def _span(begin: int, end: int, factor: float, length: int) -> tuple[int, int]:
    """The same stretch on another grid of `length` pixels; never empty."""
    start = min(round(begin * factor), length - 1)
    return start, min(max(round(end * factor), start + 1), length)


def _padded(parts: Sequence[Rectangle], stride: int, least: tuple[int, int]) -> tuple[int, int]:
    """Size of a batch of these windows: at least `least`, and divisible as a network wants it."""
    height = max(least[0], *(part.shape[0] for part in parts))
    width = max(least[1], *(part.shape[1] for part in parts))
    return -(-height // stride) * stride, -(-width // stride) * stride
