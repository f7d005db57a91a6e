"""The generated scene: exact truth, the same every time, and the look of phase contrast."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sartorius.samples.phase_contrast import phase_contrast_scene


@pytest.fixture(scope="module")
def scene():
    return phase_contrast_scene()


def test_same_seed_gives_the_same_scene(scene):
    image, truth = scene
    again, truth_again = phase_contrast_scene()
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(truth.masks.to_labels(), truth_again.masks.to_labels())


def test_another_seed_gives_another_scene(scene):
    other, _ = phase_contrast_scene(seed=1)
    assert np.mean(other != scene[0]) > 0.5


def test_shape_type_and_count(scene):
    image, truth = scene
    assert image.shape == truth.image_size == (520, 704)
    assert image.dtype == np.uint8
    assert 40 <= len(truth) <= 45


def test_grey_values_are_those_of_an_incubator_microscope(scene):
    image, _ = scene
    assert 126 < image.mean() < 130
    assert 10 < image.std() < 20
    low, middle, high = np.percentile(image, [1, 50, 99])
    assert 55 < low < 90
    assert abs(middle - 129) < 3
    assert 155 < high < 190


def test_cells_are_darker_than_their_surroundings_with_a_bright_halo(scene):
    from scipy import ndimage

    image, truth = scene
    cells = truth.masks.to_labels() > 0
    distance = ndimage.distance_transform_edt(~cells)
    assert np.median(image[cells]) < np.median(image) - 10
    ring = (distance > 1) & (distance <= 3)
    assert np.percentile(image[ring], 75) > np.percentile(image[distance > 10], 75)


def test_masks_are_whole_cells_that_do_not_overlap(scene):
    _, truth = scene
    areas = truth.masks.area()
    assert areas.min() > 50
    assert 180 < np.median(areas) < 300
    assert np.count_nonzero(truth.masks.to_labels()) == areas.sum()


def test_as_many_cells_as_asked_for():
    _, truth = phase_contrast_scene((300, 300), seed=3, cells=7)
    assert len(truth) == 7


def test_a_scene_without_cells():
    image, truth = phase_contrast_scene((64, 48), cells=0)
    assert image.shape == (64, 48)
    assert len(truth) == 0


def test_crowding_stops_before_cells_lie_on_top_of_each_other():
    _, truth = phase_contrast_scene((64, 64), cells=400)
    assert 4 <= len(truth) < 30


@pytest.mark.parametrize(("shape", "cells"), [((31, 100), None), ((100, 100), -1)])
def test_impossible_wishes_are_refused(shape, cells):
    with pytest.raises(ValueError, match="got"):
        phase_contrast_scene(shape, cells=cells)
