"""Finds every cell of an image: the one function behind a click, a command and a call.

Torch is imported when the first image comes, so the types here can be imported anywhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_sartorius.inference.attempts import ImageSegmenter
from napari_sartorius.inference.device import choose_device, choose_precision
from napari_sartorius.inference.network import NetworkRunner
from napari_sartorius.inference.one_network import OneNetwork
from napari_sartorius.inference.prepare import PreparedImage, prepare
from napari_sartorius.inference.result import PassRun, SegmentResult, Stopwatch
from napari_sartorius.inference.selection import Selection
from napari_sartorius.inference.sweep import Sweep, overlap_of
from napari_sartorius.inference.views import views_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.progress import NoticeBook
    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.inference.device import DeviceChoice
    from napari_sartorius.inference.second_level import ImageJudge
    from napari_sartorius.nn.network import Network
    from napari_sartorius.zoo.bundle import ModelBundle

__all__ = ["SegmentResult", "Segmenter"]


class Segmenter(ImageSegmenter[PreparedImage]):
    """A model ready to segment images one after the other.

    Parameters
    ----------
    bundle
        The model. Its weights are loaded with the first image.
    config
        How to segment.
    detector
        A network to use instead of loading the bundle's.
    judge
        Used instead of the bundle's second level.

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
        self,
        bundle: ModelBundle,
        config: SegmentConfig,
        detector: Network | None = None,
        judge: ImageJudge | None = None,
    ) -> None:
        self.bundle = bundle
        self._selection = Selection.of(bundle.card, config)
        self._views = views_of(bundle.card, config.preset)
        super().__init__(bundle, config, choose_device(config.device), judge)
        self._detector = detector
        self._runner: NetworkRunner | None = None

    def warm_up(self) -> None:
        """Load the network now instead of with the first image."""
        self._network()

    @property
    def is_warm(self) -> bool:
        """Whether the network is loaded."""
        return self._runner is not None

    def _prepare(
        self, image: NDArray[Any], pixel_size: float | None, book: NoticeBook
    ) -> PreparedImage:
        prepared = prepare(image, self.bundle.card, self.config, pixel_size)
        for notice in prepared.notices:
            book.notice(notice)
        return prepared

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

    def _try(self, prepared: PreparedImage, book: NoticeBook, watch: Stopwatch) -> SegmentResult:
        """One attempt with the present effort; running out of memory ends it."""
        card, network = self.bundle.card, self._network()
        usual = card.input_size
        selection = replace(self._selection, mask_confidence=self._wants_confidence)
        sweep = Sweep(
            OneNetwork(network, selection, prepared, watch),
            selection,
            prepared,
            self.config,
            overlap=overlap_of(card),
            stride=network.detector.size_divisibility,
            whole=usual.short_edge * usual.long_edge if usual is not None else 0,
            growth=network.memory_growth,
        )
        plan, batch = sweep.plan(self._effort)
        self._tried = batch, max(plan.padded)
        swept = sweep.run(plan, batch, watch, book)
        scale = prepared.rescaler.to_image
        with watch.measure("filter"):
            instances, cell_type = selection.finish(
                swept.instances, scale[0] * scale[1], self._judge_of(prepared)
            )
        book.progress("filter", 1.0)
        return SegmentResult(
            instances=instances,
            categories=selection.names,
            cell_type=cell_type,
            device=self._effort.device,
            timings=watch.seconds,
            notices=book.notices,
            config=self.config,
            precision=network.precision,
            tiles=swept.tiles,
            scale=1.0 / scale[0],
            passes=(PassRun((card.name,), tuple(map(str, self._views))),),
        )
