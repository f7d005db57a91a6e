"""The generated spindle cells: exact truth, the same every time, and the look of phase contrast."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_sartorius.samples.spindle_cells import spindle_scene


def test_same_seed_gives_the_same_scene():
    image, truth = spindle_scene((200, 240), seed=3)
    again, truth_again = spindle_scene((200, 240), seed=3)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(truth.masks.to_labels(), truth_again.masks.to_labels())
    other, _ = spindle_scene((200, 240), seed=4)
    assert np.mean(other != image) > 0.5


@pytest.mark.parametrize("seed", range(4))
def test_cells_are_long_whole_and_apart(seed: int):
    image, truth = spindle_scene((256, 256), seed=seed)
    assert image.shape == truth.image_size == (256, 256)
    assert image.dtype == np.uint8
    areas = truth.masks.area()
    assert 10 <= len(truth) <= 84
    assert 150 < np.median(areas) < 600
    labels = truth.masks.to_labels()
    assert np.count_nonzero(labels) == areas.sum()  # none lies over another
    for number in range(1, len(truth) + 1):
        assert ndimage.label(labels == number)[1] == 1


def test_cells_are_darker_than_the_background_inside_a_bright_rim():
    image, truth = spindle_scene((256, 256), seed=1)
    cells = truth.masks.to_labels() > 0
    depth = ndimage.distance_transform_edt(cells)
    rim = (depth > 0) & (depth <= 1)
    assert np.median(image[depth > 2]) < np.median(image[~cells]) - 10
    assert image[rim].mean() > image[~cells].mean() + 5


def test_no_cell_is_possible():
    image, truth = spindle_scene((64, 48), cells=0)
    assert len(truth) == 0
    assert image.std() < 15


@pytest.mark.parametrize(("shape", "cells"), [((31, 64), None), ((64, 64), -1)])
def test_impossible_wishes_are_refused(shape: tuple[int, int], cells: int | None):
    with pytest.raises(ValueError, match=r"32 x 32|negative"):
        spindle_scene(shape, cells=cells)
