"""Fuses what several views of one tile found, for a single model: see `mean_of_looks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.ensemble.gathered import Gathered
from napari_sartorius.ensemble.looks import Look
from napari_sartorius.ensemble.mean_of_looks import mean_found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.found import Found
    from napari_sartorius.ensemble.looks import Keep


def fuse_views(
    views: Sequence[Found], keep: Keep | None = None, iou: float = 0.55
) -> tuple[Found, NDArray[np.float32]]:
    """Fuse the objects of several views.

    Parameters
    ----------
    views
        What each view found, already in the same pixels.
    keep
        Says from fused scores and labels which objects are wanted; masks are averaged for these
        only. All when None.
    iou : float
        Boxes of one category that overlap at least this much show the same object.

    Returns
    -------
    found : Found
        Fused objects, best score first.
    agreement : (N,) float32
        Share of the views that found each object, above 0 to 1.
    """
    looks = [Look(found, view=number) for number, found in enumerate(views)]
    found, clusters = mean_found(Gathered.of(looks), keep, iou)
    return found, (clusters.sizes / len(views)).astype(np.float32)
