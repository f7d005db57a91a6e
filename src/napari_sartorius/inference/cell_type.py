"""Decides the one cell type that an image shows: an image classifier, or the objects found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.inference.rescale import Rescaler
from napari_sartorius.inference.tiling import Rectangle

if TYPE_CHECKING:
    from napari_sartorius.ensemble.proposal_counts import CountRule
    from napari_sartorius.inference.network import NetworkRunner
    from napari_sartorius.inference.prepare import PreparedImage
    from napari_sartorius.nn.classifier import ImageClassifier

# A classifier shrinks images to its own size; larger ones than this are shrunk while being read.
_LARGEST_EDGE = 2048
_ROWS = 256


def classify(network: ImageClassifier, prepared: PreparedImage, device: str) -> int:
    """Class that a classifier gives to an image, counted in the classifier's order.

    Parameters
    ----------
    network
        In evaluation mode, on `device`.
    prepared
        The image as the classifier's card wants it.
    device
        Where it runs.
    """
    import torch

    pixels = _whole(prepared)
    batch = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(device)
    return int(network.classify(batch)[0].argmax())


def count_proposals(runner: NetworkRunner, prepared: PreparedImage, rule: CountRule) -> str:
    """Cell type that the joint proposals for a whole image tell.

    Parameters
    ----------
    runner
        Of networks joined by ``stage_means``.
    prepared
        The image as their input.
    rule
        How counts are read; it speaks of whole images as the published system saw them.

    Raises
    ------
    UserError
        When the networks do not all have the same anchors.
    """
    return runner.cell_type(_whole(prepared), rule)


def _whole(prepared: PreparedImage) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    height, width = prepared.rescaler.size
    shrink = _LARGEST_EDGE / max(height, width)
    if shrink < 1:
        from dataclasses import replace

        factor = shrink * height / prepared.image_size[0]
        prepared = replace(prepared, rescaler=Rescaler(prepared.image_size, factor))
        height, width = prepared.rescaler.size
    strips = [
        prepared.window(Rectangle(row, 0, min(row + _ROWS, height), width))
        for row in range(0, height, _ROWS)
    ]
    return np.ascontiguousarray(np.concatenate(strips))
