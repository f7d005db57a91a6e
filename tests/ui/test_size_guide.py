"""The circle that shows the cell diameter on the image."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def guided(dock, viewer):
    """A scaled image, with the circle switched on."""
    viewer.add_image(np.zeros((100, 200)), name="plate", scale=(2, 2), translate=(10, 0))
    dock.segment.advanced.guide_button.click()
    return dock.segment


def extent(layer):
    corners = layer.data[0]
    return np.ptp(corners[:, 0]), np.ptp(corners[:, 1])


def test_circle_has_the_models_diameter_on_the_images_grid(guided, viewer):
    circle = viewer.layers["cell diameter"]
    assert extent(circle) == pytest.approx((20, 20))
    np.testing.assert_allclose(circle.scale, (2, 2))
    np.testing.assert_allclose(circle.translate, (10, 0))


def test_circle_follows_the_number_and_stays_where_it_was_put(guided, viewer):
    circle = viewer.layers["cell diameter"]
    circle.data = [circle.data[0] + (30, 5)]
    centre = circle.data[0].mean(axis=0)
    guided.advanced.diameter.set_number(33)
    assert extent(circle) == pytest.approx((33, 33))
    np.testing.assert_allclose(circle.data[0].mean(axis=0), centre)


def test_circle_goes_when_it_is_switched_off(guided, viewer):
    guided.advanced.guide_button.click()
    assert [layer.name for layer in viewer.layers] == ["plate"]


def test_removing_the_circle_by_hand_releases_the_button(guided, viewer):
    viewer.layers.remove("cell diameter")
    assert not guided.advanced.guide_button.isChecked()
    guided.advanced.guide_button.click()
    assert "cell diameter" in viewer.layers


def test_without_an_image_nothing_is_drawn(dock, viewer):
    dock.segment.advanced.guide_button.click()
    assert len(viewer.layers) == 0
    assert not dock.segment.advanced.guide_button.isChecked()


def test_circle_is_not_taken_for_an_image(guided):
    assert guided.image.layer.name == "plate"
