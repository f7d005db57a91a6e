"""Runs a network on windows of an image: batches, views, precision, and nothing else."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.inference.views import View, look, look_back

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from napari_sartorius.core.found import Found
    from napari_sartorius.inference.device import Precision
    from napari_sartorius.nn.detector import DetectLimits
    from napari_sartorius.nn.network import Network


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

    def run(
        self,
        windows: Sequence[NDArray[np.float32]],
        padded: tuple[int, int],
        limits: DetectLimits,
    ) -> list[list[Found]]:
        """Look at windows in all views.

        Parameters
        ----------
        windows : sequence of (height, width, channels) float32
            Normalised; may be smaller than `padded`.
        padded : (height, width)
            Common size of the batch; what is missing is filled with zeros.
        limits
            What may drop an object.

        Returns
        -------
        list of list of Found
            For each window what each view found, in pixels of the window.
        """
        found: list[list[Found]] = [[] for _ in windows]
        for view in self.views:
            seen = [look(window, view) for window in windows]
            sizes = [(window.shape[0], window.shape[1]) for window in windows]
            for i, one in enumerate(self._detect(seen, sizes, padded, limits)):
                found[i].append(look_back(one, view, sizes[i]))
        return found

    def _detect(
        self,
        windows: Sequence[NDArray[np.float32]],
        sizes: list[tuple[int, int]],
        padded: tuple[int, int],
        limits: DetectLimits,
    ) -> list[Found]:
        import torch

        # Channels last from the start: convolutions are faster so, and windows already are.
        batch = np.zeros((len(windows), *padded, windows[0].shape[2]), np.float32)
        for slot, window, (height, width) in zip(batch, windows, sizes, strict=True):
            slot[:height, :width] = window
        tensor = torch.from_numpy(batch).permute(0, 3, 1, 2).to(self.device)
        arithmetic: AbstractContextManager[object] = nullcontext()
        if self.precision == "bfloat16":
            arithmetic = torch.autocast(torch.device(self.device).type, torch.bfloat16)
        with torch.inference_mode(), arithmetic:
            detections = self.detector.detect(tensor, limits, sizes)
        return [one.on_host() for one in detections]
