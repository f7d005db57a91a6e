"""The jobs that the dock and the command line give to the worker.

The viewer imports this module to make jobs. It is the door to the networks: what needs torch is
imported inside functions that only the worker (or the command line) calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_sartorius.engine.walk import PlaneWalk
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.device import DeviceChoice, choose_device, choose_precision
from napari_sartorius.inference.result import SegmentResult
from napari_sartorius.io.images import ImageData, image_from_array, read_image
from napari_sartorius.zoo import AnyBundle, ModelBundle, find_bundle

if TYPE_CHECKING:
    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.engine.context import WarmCache, WorkerContext
    from napari_sartorius.inference.attempts import ImageSegmenter

    AnySegmenter = ImageSegmenter[Any]


@dataclass(frozen=True, slots=True)
class PlaneResult:
    """The segmentation of one plane.

    Attributes
    ----------
    index
        Position of the plane along the stack axes, () for a two-dimensional image.
    result
        What was found there.
    """

    index: tuple[int, ...]
    result: SegmentResult


@dataclass(frozen=True, eq=False)
class SegmentJob:
    """Find every cell in an image, plane by plane when it is a stack.

    Attributes
    ----------
    image
        An `ImageData`, the path of an image file, or an array of the axes in `axes`.
    config
        How to segment.
    axes
        Axes of an array, one letter each, for example "YX", "YXS" (colour last), "TYX", "ZYX".
        None guesses as `io.images.image_from_array` does. Ignored for `ImageData` and paths.
    pixel_size
        Micrometres per pixel of an array, when known; `ImageData` and files bring their own.
    """

    image: ImageData | NDArray[Any] | Path
    config: SegmentConfig
    axes: str | None = None
    pixel_size: float | None = None

    def run(self, context: WorkerContext) -> list[PlaneResult]:
        """Segment; one result per plane, in order."""
        picture = self._open()
        context.monitor.progress(f"loading {self.config.model}", 0.0)
        segmenter = warm_segmenter(context.cache, self.config)
        return segment_planes(segmenter, picture, context.monitor)

    def _open(self) -> ImageData:
        if isinstance(self.image, ImageData):
            return self.image
        if isinstance(self.image, Path):
            return read_image(self.image)
        return image_from_array(self.image, axes=self.axes, pixel_size=self.pixel_size)


@dataclass(frozen=True)
class WarmUpJob:
    """Load a model ahead of the first run; returns the `DeviceChoice` that it was loaded for."""

    config: SegmentConfig

    def run(self, context: WorkerContext) -> DeviceChoice:
        """Load, or find it loaded."""
        context.monitor.progress(f"loading {self.config.model}", 0.0)
        segmenter = warm_segmenter(context.cache, self.config)
        segmenter.warm_up()
        return segmenter.device_choice


@dataclass(frozen=True)
class DescribeDeviceJob:
    """Say which device a request leads to and why; returns a `DeviceChoice`."""

    request: str = "auto"

    def run(self, context: WorkerContext) -> DeviceChoice:
        """Look at the hardware through torch."""
        return choose_device(self.request)


def segment_planes(
    segmenter: AnySegmenter, picture: ImageData, monitor: Monitor
) -> list[PlaneResult]:
    """Segment an image plane by plane; blank planes of a stack have no objects.

    Returns
    -------
    list of PlaneResult
        One per plane, in order. What was told about the image as a whole stands with the first.

    Raises
    ------
    UserError
        As `engine.walk.PlaneWalk`, and when a plane cannot be segmented.
    """
    walk = PlaneWalk(picture, segmenter.config.channel, monitor)
    found = []
    for visit in walk:
        if visit.is_blank:
            result = segmenter.nothing_on(picture.size)
        else:
            result = segmenter.segment(
                visit.pixels, pixel_size=picture.pixel_size, monitor=visit.monitor
            )
        found.append(PlaneResult(visit.index, result))
    found[0].result.notices.extend(walk.notices)
    return found


def open_segmenter(bundle: AnyBundle, config: SegmentConfig) -> AnySegmenter:
    """Load a bundle's network, or those of an ensemble, for this configuration. Imports torch.

    Raises
    ------
    UserError
        When the configuration does not suit the model or its weights are damaged.
    """
    segmenter = _segmenter(bundle, config)
    segmenter.warm_up()
    return segmenter


def warm_segmenter(cache: WarmCache, config: SegmentConfig) -> AnySegmenter:
    """Return a segmenter for this configuration; a network is loaded once per model and device.

    All members of an ensemble count as one object of the cache: they come one by one as passes
    need them, and go together.
    """
    bundle = find_bundle(config.model)
    device = choose_device(config.device).device
    wish = config.precision
    if isinstance(bundle, ModelBundle):
        precision = choose_precision(bundle.card.precision if wish == "auto" else wish, device)
        key = (str(bundle.path), bundle.card.sha256, device, precision)
        network = cache.get(
            key, lambda: bundle.load_network(device, for_inference=True, precision=precision)
        )
        return _segmenter(bundle, config, network)
    from napari_sartorius.inference.network_pool import NetworkPool

    pool = cache.get((str(bundle.path), bundle.card.sha256, device), lambda: NetworkPool(bundle))
    return _segmenter(bundle, config, pool)


def _segmenter(bundle: AnyBundle, config: SegmentConfig, networks: Any = None) -> AnySegmenter:
    """Who segments with a model, or with an ensemble; `networks` are those that are warm."""
    if isinstance(bundle, ModelBundle):
        from napari_sartorius.inference.segmenter import Segmenter

        return Segmenter(bundle, config, networks)
    from napari_sartorius.inference.ensemble_segmenter import EnsembleSegmenter

    return EnsembleSegmenter(bundle, config, networks)
