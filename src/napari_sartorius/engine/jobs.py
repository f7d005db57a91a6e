"""The jobs that the dock and the command line give to the worker.

The viewer imports this module to make jobs, so torch is only imported inside `run`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from napari_sartorius.engine.context import WorkerContext
    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.inference.device import DeviceChoice
    from napari_sartorius.inference.segmenter import SegmentResult


@dataclass(frozen=True, slots=True)
class PlaneResult:
    """The segmentation of one plane.

    Attributes
    ----------
    index
        Position of the plane along the leading axes, () for a two-dimensional image.
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
        Path of an image file, or an array of the axes in `axes`.
    config
        How to segment.
    axes
        Axes of an array, one letter each, for example "YX", "YXS" (colour last), "TYX", "ZYX".
        None takes (Y, X), (Y, X, 3 or 4), or leading axes before Y, X. Ignored for a path.
    pixel_size
        Micrometres per pixel of an array, when known; a file brings its own.
    """

    image: np.ndarray[Any, Any] | Path
    config: SegmentConfig
    axes: str | None = None
    pixel_size: float | None = None

    def run(self, context: WorkerContext) -> list[PlaneResult]:
        """Segment; one result per plane, in order."""
        raise NotImplementedError


@dataclass(frozen=True)
class WarmUpJob:
    """Load a model ahead of the first run; returns the device that it is on."""

    config: SegmentConfig

    def run(self, context: WorkerContext) -> str:
        """Load, or find it loaded."""
        raise NotImplementedError


@dataclass(frozen=True)
class DescribeDeviceJob:
    """Say which device a request leads to and why; returns a `DeviceChoice`."""

    request: str = "auto"

    def run(self, context: WorkerContext) -> DeviceChoice:
        """Look at the hardware through torch."""
        from napari_sartorius.inference.device import choose_device

        return choose_device(self.request)
