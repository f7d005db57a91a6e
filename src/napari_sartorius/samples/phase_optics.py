"""What a phase-contrast microscope makes of optical thickness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray


def expose(
    rng: np.random.Generator, thickness: NDArray[np.float32], gain: float = 215.0
) -> NDArray[np.uint8]:
    """Turn optical thickness into grey values: dark objects, bright halos, uneven light, noise.

    Parameters
    ----------
    rng : numpy Generator
        Source of all chance.
    thickness : (H, W) float32
        About 1 in a cell body.
    gain : float
        Grey levels for a thickness of 1 against an empty surrounding.

    Returns
    -------
    (H, W) uint8
        Around 128.
    """
    height, width = thickness.shape
    sharp = ndimage.gaussian_filter(thickness, 0.55)
    halo = 0.91 * ndimage.gaussian_filter(thickness, 1.5)
    halo += 0.05 * ndimage.gaussian_filter(thickness, 6.0)
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    tilt = rng.normal(0, 1.3, 3)
    light = 129.0 + tilt[0] * y + tilt[1] * x + tilt[2] * (x * y)
    noise = ndimage.gaussian_filter(rng.standard_normal((height, width)).astype(np.float32), 0.7)
    grey = light - gain * (sharp - halo) + 4.0 * noise
    return np.asarray(np.clip(np.rint(grey), 0, 255), np.uint8)
