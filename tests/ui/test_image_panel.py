"""The image menu follows the viewer, and stacks are segmented where they are."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_sartorius.engine.jobs import PlaneResult
from napari_sartorius.engine.messages import FinishedMessage
from napari_sartorius.ui import image_source
from napari_sartorius.ui.image_source import PlaneChoice


def names(choice):
    return [choice.itemText(i) for i in range(choice.count())]


def test_menu_follows_the_viewer(dock, viewer):
    menu = dock.segment.image.layers
    assert names(menu) == ["no image yet"]
    first = viewer.add_image(np.zeros((4, 4)), name="a")
    second = viewer.add_image(np.zeros((4, 4)), name="b")
    viewer.add_labels(np.zeros((4, 4), int))
    viewer.add_points(np.zeros((1, 2)))
    assert names(menu) == ["b", "a"]
    assert menu.layer is second
    first.name = "renamed"
    assert names(menu) == ["b", "renamed"]
    menu.setCurrentIndex(1)
    assert menu.layer is first
    viewer.layers.move(0, 1)
    assert menu.layer is first
    viewer.layers.remove(first)
    assert menu.layer is second
    viewer.layers.clear()
    assert menu.layer is None
    assert names(menu) == ["no image yet"]


def test_menu_starts_with_the_newest_of_the_images_that_are_there(viewer, client, qtbot):
    from napari_sartorius.ui.image_panel import ImagePanel

    viewer.add_image(np.zeros((4, 4)), name="old")
    viewer.add_image(np.zeros((4, 4)), name="new")
    panel = ImagePanel(viewer)
    qtbot.addWidget(panel)
    assert panel.layer.name == "new"
    panel.stop()


def test_facts_about_the_layer(dock, viewer):
    viewer.add_image(
        np.zeros((3, 4, 20, 30), np.uint16),
        scale=(1, 1, 0.5, 0.5),
        units=("pixel", "um", "um", "um"),
    )
    text = dock.segment.image.facts.text()
    assert text == "30 × 20 px · 12 slices · grey · uint16 · 0.5 µm/px"  # noqa: RUF001
    assert dock.segment.image.slices.itemText(1) == "All 12 slices"
    assert not dock.segment.image.slices.isHidden()
    assert dock.segment.image.channel.isHidden()


def test_colour_offers_channels_and_counts_no_channel_axis(dock, viewer):
    layer = viewer.add_image(np.zeros((20, 30, 3), np.uint8), rgb=True)
    panel = dock.segment.image
    assert not panel.channel.isHidden()
    assert panel.slices.isHidden()
    assert panel.channel_value == "auto"
    assert image_source.plane_shape(layer) == (20, 30)
    assert image_source.leading_shape(layer) == ()


def test_multiscale_uses_full_resolution():
    layer = Image([np.zeros((40, 60)), np.zeros((20, 30))], multiscale=True)
    assert image_source.plane_shape(layer) == (40, 60)
    assert image_source.take_plane(layer, ()).shape == (40, 60)


@pytest.mark.parametrize(
    ("units", "expected"),
    [(("um", "um"), 0.5), (("nm", "nm"), 0.0005), (("pixel", "pixel"), None), (("s", "s"), None)],
)
def test_pixel_size_needs_a_length(units, expected):
    layer = Image(np.zeros((4, 4)), scale=(0.5, 0.5), units=units)
    assert image_source.pixel_size_um(layer) == (
        None if expected is None else pytest.approx(expected)
    )


def test_current_slice_is_where_the_sliders_are(viewer):
    layer = viewer.add_image(np.zeros((5, 6, 20, 30)), scale=(2, 1, 1, 1), translate=(10, 0, 0, 0))
    viewer.dims.set_point((0, 1), (14, 3))
    assert image_source.current_index(layer, tuple(viewer.dims.point)) == (2, 3)


def test_lazy_arrays_are_read_one_plane_at_a_time():
    da = pytest.importorskip("dask.array")
    stack = da.zeros((3, 20, 30), chunks=(1, 20, 30)).map_blocks(
        lambda block, block_info=None: block + block_info[0]["chunk-location"][0], dtype=float
    )
    layer = Image(stack)
    plane = image_source.take_plane(layer, (2,))
    assert isinstance(plane, np.ndarray)
    assert plane.shape == (20, 30)
    assert plane.max() == 2.0


def test_current_slice_result_lies_at_that_slice_only(dock, viewer, client, make_result, qtbot):
    image = viewer.add_image(
        np.zeros((5, 60, 80)), name="film", scale=(3, 2, 2), translate=(1, 0, 0)
    )
    viewer.dims.set_point(0, 1 + 3 * 2)
    dock.segment.run()
    client.wait_for_job()
    assert client.jobs[-1].image.pixels.shape == (60, 80)
    viewer.dims.set_point(0, 1)  # the user looks on while it runs
    with qtbot.waitSignal(dock.bridge.finished):
        client.finish(make_result())
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    layer = viewer.layers[-1]
    assert layer.data.shape == (1, 60, 80)
    np.testing.assert_allclose(layer.data_to_world((0, 5, 7)), image.data_to_world((2, 5, 7)))
    assert list(layer.features["axis-0"]) == [2, 2, 2]


def test_whole_stack_has_numbers_of_its_own_in_every_slice(
    dock, viewer, client, make_result, qtbot
):
    image = viewer.add_image(np.zeros((2, 60, 80)), name="film", scale=(3, 2, 2))
    dock.segment.image.slices.select_data("all")
    dock.segment.run()
    client.wait_for_job()
    assert client.jobs[-1].image.pixels.shape == (2, 60, 80)
    assert client.jobs[-1].image.axes == "TYX"
    planes = [PlaneResult((0,), make_result()), PlaneResult((1,), make_result((60, 80), (0.8,)))]
    with qtbot.waitSignal(dock.bridge.finished):
        client.say(FinishedMessage(1, planes))
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    layer = viewer.layers[-1]
    assert layer.data.shape == (2, 60, 80)
    assert list(np.unique(layer.data[0])) == [0, 1, 2, 3]
    assert list(np.unique(layer.data[1])) == [0, 4]
    assert list(layer.features["index"]) == [1, 2, 3, 4]
    assert list(layer.features["axis-0"]) == [0, 0, 0, 1]
    np.testing.assert_allclose(layer.scale, image.scale)


def test_every_plane_of_a_deep_stack_is_listed_once():
    layer = Image(np.zeros((2, 3, 5, 5)))
    indices = PlaneChoice.everything(layer).indices
    assert indices == ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2))
