"""Runs a network on windows of an image: batches, views, precision, and nothing else."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.core.views import View
from napari_sartorius.inference.views import look, look_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sartorius.core.found import Found
    from napari_sartorius.ensemble.proposal_counts import CountRule
    from napari_sartorius.inference.device import Precision
    from napari_sartorius.inference.tile_walk import AfterLook
    from napari_sartorius.nn.detector import DetectLimits
    from napari_sartorius.nn.network import Network


def _nothing(share: float) -> None:
    """Nobody wants to know."""


class NetworkRunner:
    """A detector on a device.

    Parameters
    ----------
    detector
        In evaluation mode, on `device`.
    device, precision
        Where and in which arithmetic it runs.
    views
        How it looks at each window.
    """

    def __init__(
        self, detector: Network, device: str, precision: Precision, views: tuple[View, ...]
    ) -> None:
        self.detector = detector
        self.device = device
        self.precision = precision
        self.views = views

    @property
    def memory_growth(self) -> float:
        """How much more memory a pixel takes than with one network and no enlarged view."""
        largest = max(view.scale for view in self.views)
        return max(1.0, largest**2) * float(getattr(self.detector, "memory_growth", 1.0))

    def run(
        self,
        windows: Sequence[NDArray[np.float32]],
        padded: tuple[int, int],
        limits: DetectLimits,
        at_once: int | None = None,
        after_look: AfterLook = _nothing,
    ) -> list[list[Found]]:
        """Look at windows in all views.

        Looks of the same shape go through the network together, be they different windows or
        different views: quarter turns of windows that are not square, and enlarged views, have a
        shape of their own.

        Parameters
        ----------
        windows : sequence of (height, width, channels) float32
            Normalised; may be smaller than `padded`.
        padded : (height, width)
            Common size of the batch; what is missing is filled with zeros.
        limits
            What may drop an object.
        at_once
            Most looks in one pass; as many as there are windows when None.
        after_look
            Called after each pass with the share of looks that is done, 0..1; may raise.

        Returns
        -------
        list of list of Found
            For each window what each view found, in pixels of the window.
        """
        sizes = [(window.shape[0], window.shape[1]) for window in windows]
        by_shape: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for number, view in enumerate(self.views):
            looks = by_shape.setdefault(self._padded(view, padded), [])
            looks += [(number, window) for window in range(len(windows))]
        found: dict[tuple[int, int], Found] = {}
        most = at_once or len(windows)
        for shape, looks in by_shape.items():
            for start in range(0, len(looks), most):
                part = looks[start : start + most]
                seen = [look(windows[window], self.views[number]) for number, window in part]
                for one, raw in zip(part, self._detect(seen, shape, limits), strict=True):
                    found[one] = look_back(raw, self.views[one[0]], sizes[one[1]])
                after_look(len(found) / (len(self.views) * len(windows)))
        return [
            [found[number, window] for number in range(len(self.views))]
            for window in range(len(windows))
        ]

    def cell_type(self, window: NDArray[np.float32], rule: CountRule) -> str:
        """Cell type that joint proposals tell of a (height, width, channels) image.

        Raises
        ------
        UserError
            When the networks do not all have the same anchors.
        """
        size = (window.shape[0], window.shape[1])
        tensor = self._tensor([window], self._padded(View(), size))
        with self._arithmetic():
            (told,) = self.detector.cell_types(tensor, rule, [size])  # type: ignore[operator]
        return str(told)

    def _padded(self, view: View, padded: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the batches of a view; divisible as the network wants it."""
        height, width = view.seen_size(padded)
        step = self.detector.size_divisibility
        return -(-height // step) * step, -(-width // step) * step

    def _detect(
        self,
        windows: Sequence[NDArray[np.float32]],
        padded: tuple[int, int],
        limits: DetectLimits,
    ) -> list[Found]:
        sizes = [(window.shape[0], window.shape[1]) for window in windows]
        tensor = self._tensor(windows, padded)
        with self._arithmetic():
            detections = self.detector.detect(tensor, limits, sizes)
        return [one.on_host() for one in detections]

    def _tensor(self, windows: Sequence[NDArray[np.float32]], padded: tuple[int, int]) -> Tensor:
        """A batch on the device; what windows lack is zero."""
        import torch

        # Channels last from the start: convolutions are faster so, and windows already are.
        batch = np.zeros((len(windows), *padded, windows[0].shape[2]), np.float32)
        for slot, window in zip(batch, windows, strict=True):
            slot[: window.shape[0], : window.shape[1]] = window
        return torch.from_numpy(batch).permute(0, 3, 1, 2).to(self.device)

    @contextmanager
    def _arithmetic(self) -> Iterator[None]:
        """Inference in the arithmetic of this runner."""
        import torch

        autocast: AbstractContextManager[object] = nullcontext()
        if self.precision == "bfloat16":
            autocast = torch.autocast(torch.device(self.device).type, torch.bfloat16)
        with torch.inference_mode(), autocast:
            yield
