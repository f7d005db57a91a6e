"""Finds every cell of an image: the one function behind a click, a command and a call.

Torch is imported when the first image comes, so the types here can be imported anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor, SubMonitor
from napari_sartorius.inference import memory
from napari_sartorius.inference.device import choose_device, choose_precision
from napari_sartorius.inference.memory import Effort
from napari_sartorius.inference.network import NetworkRunner
from napari_sartorius.inference.prepare import prepare
from napari_sartorius.inference.result import NoticeBook, SegmentResult, Stopwatch
from napari_sartorius.inference.seams import join_tiles, to_image_tile
from napari_sartorius.inference.selection import Selection
from napari_sartorius.inference.tile_walk import FoundInTile, TileWalk, cap_words
from napari_sartorius.inference.tiling import split_tile
from napari_sartorius.inference.views import views_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.inference.device import DeviceChoice
    from napari_sartorius.inference.prepare import PreparedImage
    from napari_sartorius.inference.tiling import Tile, TilePlan
    from napari_sartorius.nn.network import Network
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
        self, bundle: ModelBundle, config: SegmentConfig, detector: Network | None = None
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
        for notice in prepared.notices:
            book.notice(notice)
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
            wish = self.config.precision
            precision = choose_precision(
                self.bundle.card.precision if wish == "auto" else wish, device
            )
            detector = self._detector
            if detector is None:
                self._runner = None  # before another network needs its memory
                detector = self.bundle.load_network(device, for_inference=True, precision=precision)
            elif hasattr(detector, "to"):
                detector.to(device)
            self._runner = NetworkRunner(detector, device, precision, self._views)
        return self._runner

    @property
    def _overlap(self) -> int:
        """Network pixels that neighbouring tiles share at least."""
        return max(_SMALLEST_OVERLAP, round(_LONGEST_CELL * self.bundle.card.cell_diameter))

    def _plan(self, prepared: PreparedImage) -> tuple[TilePlan, int]:
        usual = self.bundle.card.input_size
        return memory.plan(
            prepared.rescaler.size,
            self.config,
            self._effort,
            scale=1.0 / prepared.rescaler.to_image[0],
            overlap=self._overlap,
            stride=self._network().detector.size_divisibility,
            whole=usual.short_edge * usual.long_edge if usual is not None else 0,
            views=len(self._views),
            growth=self._network().memory_growth,
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
        walk = TileWalk(self._network(), self._selection, prepared, self._split, watch, book)
        done = 0
        found: list[FoundInTile] = []
        for one in walk.find(plan, batch):
            found.append(one)
            height, width = one.tile.core.shape
            done += height * width
            share = done / (plan.image_size[0] * plan.image_size[1])
            book.progress("network", share * _TILES_DONE)
        book.check()
        capped = sum(one.capped for one in found)
        if capped:
            book.notice(cap_words(capped, len(found), self.config, self._selection))
        with watch.measure("seams"):
            # Parts of a split tile go where they belong in the reading order.
            found.sort(key=lambda one: (one.tile.window.y0, one.tile.window.x0))
            joined = join_tiles(
                [one.instances for one in found],
                [to_image_tile(one.tile, scale, prepared.image_size) for one in found],
                _CUT_MARGIN * max(scale),
            )
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
            tiles=len(found),
            scale=1.0 / scale[0],
        )

    def _split(self, tile: Tile) -> TilePlan | None:
        """Parts of a tile; None when it is small enough, or when it was chosen to be whole.

        The user may have chosen the tiles; and a model with a limit of its own finds no more than
        it does where it comes from, unless the user sets another.
        """
        if self.config.tile != "auto" or self._selection.own_limit:
            return None
        stride = self._network().detector.size_divisibility
        return split_tile(tile, self._overlap, stride, memory.SMALLEST_EDGE)
