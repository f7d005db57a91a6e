"""Small made-up data for the tests of this folder."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks


@pytest.fixture
def overlapping() -> Instances:
    """Two overlapping objects, the second with the higher score, and one alone; 30 x 50."""
    stack = np.zeros((3, 30, 50), bool)
    stack[0, 2:12, 3:13] = True
    stack[1, 8:18, 8:18] = True
    stack[2, 20:25, 40:50] = True
    return Instances.from_masks(
        CropMasks.from_full(stack), scores=[0.5, 0.9, 0.7], categories=[0, 1, 1]
    )
