"""Finds every cell of an image: the one function behind a click, a command and a call.

Torch is imported when the first image comes, so the types here can be imported anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Monitor, SubMonitor
from napari_sartorius.inference import memory
from napari_sartorius.inference.device import choose_device, choose_precision
from napari_sartorius.inference.fuse import fuse_views
from napari_sartorius.inference.memory import Effort
from napari_sartorius.inference.network import NetworkRunner
from napari_sartorius.inference.paste import paste
from napari_sartorius.inference.prepare import prepare
from napari_sartorius.inference.result import NoticeBook, SegmentResult, Stopwatch
from napari_sartorius.inference.seams import join_tiles, to_image_tile
from napari_sartorius.inference.selection import Selection
from napari_sartorius.inference.views import views_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.inference.device import DeviceChoice
    from napari_sartorius.inference.found import Found
    from napari_sartorius.inference.prepare import PreparedImage
    from napari_sartorius.inference.tiling import Tile, TilePlan
    from napari_sartorius.nn.detector import Detector
    from napari_sartorius.zoo.bundle import ModelBundle

__all__ = ["SegmentResult", "Segmenter"]

# Tiles share at least this many network pixels: context that a convolution needs to see a border.
_SMALLEST_OVERLAP = 96
# Cells are up to this many times longer than the card's typical diameter; longer ones are merged.
_LONGEST_CELL = 3.0
# Closer than this to a tile's inner border, in network pixels, a box counts as cut.
_CUT_MARGIN = 4.0
# Shares of a run's progress after which the tiles, and the seams, are done.
_TILES_DONE, _SEAMS_DONE = 0.95, 0.97


class Segmenter:
    """A model ready to segment images one after the other.

    Parameters
    ----------
    bundle
        The model. Its weights are loaded with the first image.
    config
        How to segment.
    detector
        A network to use instead of loading the bundle's.

    Attributes
    ----------
    device_choice : DeviceChoice
        The device chosen at the start, and why.

    Raises
    ------
    UserError
        When the configuration does not suit the model.
    """

    device_choice: DeviceChoice

    def __init__(
        self, bundle: ModelBundle, config: SegmentConfig, detector: Detector | None = None
    ) -> None:
        self.bundle = bundle
        self.config = config
        self._selection = Selection.of(bundle.card, config)
        self._views = views_of(bundle.card, config.preset)
        self.device_choice = choose_device(config.device)
        self._effort = Effort(self.device_choice.device)
        self._detector = detector
        self._runner: NetworkRunner | None = None

    def warm_up(self) -> None:
        """Load the network now instead of with the first image."""
        self._network()

    def segment(
        self,
        image: NDArray[Any],
        *,
        pixel_size: float | None = None,
        monitor: Monitor | None = None,
    ) -> SegmentResult:
        """Find the objects of one image.

        Parameters
        ----------
        image : (Y, X) or (Y, X, C)
            Any real number type; C is 3 or 4 for colour, or any number when the configuration
            chooses a channel.
        pixel_size : float, optional
            Micrometres per pixel as the image's file says; the configuration's value wins.
        monitor
            Hears of progress and notices, and may cancel between tiles.

        Raises
        ------
        UserError
            When the image cannot be segmented, the model is damaged, or memory does not suffice
            even for the smallest tiles on the processor.
        Cancelled
            When the monitor asked for it.
        """
        watch = Stopwatch()
        book = NoticeBook(monitor or Monitor())
        book.check()
        if self.device_choice.fallback:
            book.notice(self.device_choice.reason)
        book.progress("prepare", 0.0)
        with watch.measure("prepare"):
            prepared = prepare(image, self.bundle.card, self.config, pixel_size)
        if prepared.notice:
            book.notice(prepared.notice)
        if self._runner is None:
            with watch.measure("load"):
                self._network()
        while True:
            try:
                return self._try(prepared, book, watch)
            except Exception as error:
                if not memory.is_out_of_memory(error):
                    raise
            # Outside of the handler nothing refers to the failed attempt's tensors any more.
            self._reduce(book)

    def segment_stack(
        self,
        planes: Iterable[NDArray[Any]],
        *,
        count: int | None = None,
        pixel_size: float | None = None,
        monitor: Monitor | None = None,
    ) -> Iterator[SegmentResult]:
        """Find the objects of a time series or z-stack, plane by plane.

        Parameters
        ----------
        planes
            (Y, X) or (Y, X, C) images; read one at a time.
        count
            How many there are, for progress; not needed for sequences.
        pixel_size, monitor
            As in `segment`.

        Yields
        ------
        SegmentResult
            One per plane, as soon as it is done.
        """
        total = count if count is not None else len(planes)  # type: ignore[arg-type]
        outer = monitor or Monitor()
        for i, plane in enumerate(planes):
            part = SubMonitor(
                outer,
                min(i / max(total, 1), 1.0),
                min((i + 1) / max(total, 1), 1.0),
                f"plane {i + 1} of {total}: " if total > 1 else "",
            )
            yield self.segment(plane, pixel_size=pixel_size, monitor=part)

    def _network(self) -> NetworkRunner:
        """The network on the present device, loaded when needed."""
        if self._runner is None or self._runner.device != self._effort.device:
            device = self._effort.device
            if self._detector is None:
                self._detector = self.bundle.load_network(device, for_inference=True)
            elif hasattr(self._detector, "to"):
                self._detector.to(device)
            precision = choose_precision(self.config.precision, device)
            self._runner = NetworkRunner(self._detector, device, precision, self._views)
        return self._runner

    def _plan(self, prepared: PreparedImage) -> tuple[TilePlan, int]:
        diameter = self.bundle.card.cell_diameter
        return memory.plan(
            prepared.rescaler.size,
            self.config,
            self._effort,
            scale=1.0 / prepared.rescaler.to_image[0],
            overlap=max(_SMALLEST_OVERLAP, round(_LONGEST_CELL * diameter)),
            stride=self._network().detector.size_divisibility,
        )

    def _reduce(self, book: NoticeBook) -> None:
        """Make the next attempt smaller, and say so."""
        memory.release(self._effort.device)
        reduced = self._effort.reduced(*self._tried)
        if reduced is None:
            raise UserError(
                "memory does not suffice to segment this image even in the smallest tiles; close "
                "other programs or use a computer with more memory"
            )
        self._effort, message = reduced
        book.notice(message)

    def _try(self, prepared: PreparedImage, book: NoticeBook, watch: Stopwatch) -> SegmentResult:
        """One attempt with the present effort; running out of memory ends it."""
        plan, batch = self._plan(prepared)
        self._tried = batch, max(plan.padded)
        scale = prepared.rescaler.to_image
        parts: list[Instances] = []
        capped = 0
        for start in range(0, len(plan.tiles), batch):
            book.check()
            tiles = plan.tiles[start : start + batch]
            for tile, found in zip(
                tiles, self._look(prepared, tiles, plan.padded, watch), strict=True
            ):
                capped += any(self._selection.is_capped(view) for view in found)
                with watch.measure("paste"):
                    parts.append(self._paste(found, tile, prepared, scale))
            done = min(start + batch, len(plan.tiles)) / len(plan.tiles)
            book.progress("network", done * _TILES_DONE)
        book.check()
        if capped:
            book.notice(_cap_words(capped, len(plan.tiles), self.config.max_objects_per_tile))
        with watch.measure("seams"):
            tiles_in_image = [to_image_tile(t, scale, prepared.image_size) for t in plan.tiles]
            joined = join_tiles(parts, tiles_in_image, _CUT_MARGIN * max(scale))
        book.progress("seams", _SEAMS_DONE)
        book.check()
        with watch.measure("filter"):
            instances, cell_type = self._selection.finish(joined, scale[0] * scale[1])
        book.progress("filter", 1.0)
        return SegmentResult(
            instances=instances,
            categories=self._selection.names,
            cell_type=cell_type,
            device=self._effort.device,
            timings=watch.seconds,
            notices=book.notices,
            config=self.config,
            precision=self._network().precision,
            tiles=len(plan.tiles),
            scale=1.0 / scale[0],
        )

    def _look(
        self,
        prepared: PreparedImage,
        tiles: Sequence[Tile],
        padded: tuple[int, int],
        watch: Stopwatch,
    ) -> list[list[Found]]:
        with watch.measure("prepare"):
            windows = [prepared.window(tile.window) for tile in tiles]
        with watch.measure("network"):
            limits = self._selection.network_limits(len(self._views))
            return self._network().run(windows, padded, limits)

    def _paste(
        self,
        views: Sequence[Found],
        tile: Tile,
        prepared: PreparedImage,
        scale: tuple[float, float],
    ) -> Instances:
        """Fuse the views of a tile and put its confident objects at their place in the image."""
        found, agreement = fuse_views(views, self._selection.confident)
        corner = np.array([tile.window.x0, tile.window.y0] * 2, np.float32)
        boxes = (found.boxes + corner) * np.array([scale[1], scale[0]] * 2, np.float32)
        limits = self._selection.mask[found.labels]
        masks = paste(found.mask_probs, boxes, prepared.image_size, limits)
        columns = {"agreement": agreement} if len(views) > 1 else {}
        return Instances(prepared.image_size, boxes, found.scores, found.labels, masks, columns)


def _cap_words(capped: int, tiles: int, limit: int) -> str:
    where = "the image" if tiles == 1 else f"{capped} of {tiles} tiles"
    return (
        f"{where} reached a limit on the number of objects (max_objects_per_tile is {limit}), so "
        "cells may be missing; raise the limit or choose smaller tiles"
    )
