"""The two images of the demonstration: what to segment and which model is made for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.instances import Instances
from napari_sartorius.samples.phase_contrast import phase_contrast_scene
from napari_sartorius.samples.public import immunohistochemistry


@dataclass(frozen=True)
class DemoImage:
    """An image of the demonstration.

    Parameters
    ----------
    name : str
        Stem for output files.
    pixels : (H, W) or (H, W, 3) uint8
        Grey or RGB.
    model : str
        Name of the bundled model that is made for it.
    min_score : float or None
        What to keep; None for the model's own threshold.
    truth : Instances or None
        All objects, where they are known.
    """

    name: str
    pixels: NDArray[np.uint8]
    model: str
    min_score: float | None = None
    truth: Instances | None = None


def demo_images() -> list[DemoImage]:
    """Return a real micrograph of nuclei and a generated phase-contrast scene; no internet.

    The model has seen tissue of this kind in generated pictures only and is less sure of it than of
    others, so more is kept than it would keep.
    """
    scene, truth = phase_contrast_scene()
    return [
        DemoImage("immunohistochemistry", immunohistochemistry(), "nuclei", min_score=0.3),
        DemoImage("phase_contrast", scene, "neurons", truth=truth),
    ]
