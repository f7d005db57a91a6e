"""From a press on Run to a label layer, and every way in which that can end otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.engine.messages import CrashedMessage, FailedMessage, NoticeMessage
from napari_sartorius.io.dataset_from_layers import dataset_from_layers
from napari_sartorius.ui.correct.image_below import image_below
from napari_sartorius.ui.train.layer_pairs import pairs_of


@pytest.fixture
def notes(monkeypatch):
    """What napari was asked to show."""
    shown = []
    for place, name in (
        ("segment_run", "show_error"),
        ("segment_run", "show_warning"),
        ("segment_tab", "show_error"),
    ):
        monkeypatch.setattr(
            f"napari_sartorius.ui.{place}.{name}", lambda text, n=name: shown.append((n, text))
        )
    return shown


def start(dock, client):
    dock.segment.run()
    client.wait_for_job()


def test_run_is_disabled_without_an_image_and_says_why(dock, viewer):
    panel = dock.segment.run_panel
    assert not panel.run_button.isEnabled()
    assert panel.stage.text() == "Add an image to the viewer first."
    viewer.add_image(np.zeros((20, 20)))
    assert panel.run_button.isEnabled()


def test_image_of_one_row_cannot_be_run(dock, viewer):
    viewer.add_image(np.zeros((1, 20)), name="line")
    assert not dock.segment.run_panel.run_button.isEnabled()
    assert "'line'" in dock.segment.run_panel.stage.text()


def test_result_becomes_a_label_layer_on_top_of_its_image(dock, viewer, segment, make_result):
    viewer.add_image(
        np.zeros((60, 80)),
        name="plate",
        scale=(0.5, 0.25),
        translate=(7, -3),
        rotate=30,
        shear=[0.1],
        units=("um", "um"),
        axis_labels=("y", "x"),
    )
    image = viewer.layers[0]
    layer = segment(make_result())
    assert layer.name == "plate cells"
    assert layer.data.dtype == np.uint16
    np.testing.assert_array_equal(np.unique(layer.data), [0, 1, 2, 3])
    for name in ("scale", "translate", "rotate", "shear"):
        np.testing.assert_allclose(getattr(layer, name), getattr(image, name))
    np.testing.assert_allclose(layer.affine.affine_matrix, image.affine.affine_matrix)
    assert layer.units == image.units
    assert layer.axis_labels == image.axis_labels
    corner = (12.5, 41.25)
    np.testing.assert_allclose(layer.data_to_world(corner), image.data_to_world(corner))


def test_table_belongs_to_the_labels(segment, make_result):
    layer = segment(make_result())
    table = layer.features
    assert list(table["index"]) == [1, 2, 3]
    assert list(table.columns[:3]) == ["index", "score", "category"]
    np.testing.assert_allclose(table["score"], [0.9, 0.6, 0.3], atol=1e-6)
    assert list(table["category"]) == ["round", "long", "round"]
    assert list(table["area"]) == [100, 100, 100]
    assert layer.metadata["sartorius"]["config"]["model"] == "second"
    assert layer.metadata["sartorius"]["image"] == "plate"


def test_pixel_size_of_the_layer_reaches_worker_and_table(
    dock, viewer, client, segment, make_result
):
    viewer.add_image(np.zeros((60, 80)), scale=(0.5, 0.5), units=("um", "um"))
    layer = segment(make_result())
    assert client.jobs[-1].image.pixel_size == pytest.approx(0.5)
    assert layer.features["area_um2"].tolist() == pytest.approx([25.0] * 3)


def test_pixel_units_are_not_taken_for_a_length(dock, viewer, client):
    viewer.add_image(np.zeros((60, 80)), scale=(0.5, 0.5))
    start(dock, client)
    assert client.jobs[-1].image.pixel_size is None


def test_status_line_counts_and_times(dock, segment, make_result):
    segment(make_result())
    text = dock.segment.run_panel.message.text()
    assert text.startswith(
        "3 cells: 2 round, 1 long · confluence 6.2\u00a0% · 1.5 s (network 1.2 s"
    )
    assert text.endswith("on CPU")


def test_a_timed_run_tells_what_the_next_one_takes(dock, viewer, segment, make_result):
    panel = dock.segment.model
    panel.preset.set_value("fast")
    assert "here" not in panel.preset_text.text()
    segment(make_result(timings={"load": 9.0, "network": 2.5, "paste": 0.5}))
    assert panel.preset_text.text() == "Looks at the image once: quickest, 3 s here."
    panel.preset.set_value("best")
    assert panel.preset_text.text().endswith("about 4 x the time of Fast, 12 s here.")
    viewer.add_image(np.zeros((120, 80)), name="twice")
    assert panel.preset_text.text().endswith("24 s here.")
    viewer.add_image(np.zeros((6, 8)), name="small")
    assert panel.preset_text.text().endswith("about 4 x the time of Fast, less than 1 s here.")
    panel.models.setCurrentIndex(0)
    assert "here" not in panel.preset_text.text()


def test_no_cells_says_what_to_try(dock, segment, make_result):
    layer = segment(make_result((60, 80), ()))
    assert len(layer.features) == 0
    assert dock.segment.run_panel.message.text().startswith("No cell was found")


def test_progress_shows_stage_and_time_left(dock, viewer, client, qtbot):
    viewer.add_image(np.zeros((60, 80)))
    start(dock, client)
    panel = dock.segment.run_panel
    assert not panel.run_button.isEnabled()
    assert not panel.cancel_button.isHidden()
    with qtbot.waitSignal(dock.bridge.progressed):
        client.progress("network", 0.25, 9.0)
    qtbot.waitUntil(lambda: panel.stage.text() == "Network · 25% · about 9 s left")
    assert panel.bar.value() == 250


def test_the_bar_moves_to_and_fro_until_the_first_figure(dock, viewer, client, qtbot):
    viewer.add_image(np.zeros((60, 80)))
    start(dock, client)
    bar = dock.segment.run_panel.bar
    assert bar.maximum() > 0
    qtbot.waitUntil(lambda: bar.maximum() == 0)
    client.progress("network", 0.25, None)
    qtbot.waitUntil(lambda: bar.value() == 250)
    assert bar.maximum() == 1000


def test_cancel_adds_nothing_even_when_the_result_was_on_its_way(
    dock, viewer, client, make_result, qtbot
):
    viewer.add_image(np.zeros((60, 80)))
    start(dock, client)
    client.say(NoticeMessage(1, "the processor is used"))
    qtbot.waitUntil(lambda: bool(dock.segment.run_panel.notices.text()))
    dock.segment.run_panel.cancel_button.click()
    assert dock.segment.run_panel.notices.text() == ""
    assert client.handles[-1].was_cancelled
    client.finish(make_result())
    client.confirm_cancel()
    qtbot.wait(30)
    assert len(viewer.layers) == 1
    assert dock.segment.run_panel.message.text() == "Cancelled; nothing was added."
    assert dock.segment.run_panel.run_button.isEnabled()


def test_result_that_left_the_worker_just_before_cancel_is_dropped(
    dock, viewer, client, make_result, qtbot
):
    viewer.add_image(np.zeros((60, 80)))
    start(dock, client)
    client.finish(make_result())  # the signal now waits in Qt's queue
    dock.segment.cancel()
    qtbot.wait(30)
    assert len(viewer.layers) == 1


@pytest.mark.parametrize("blank", [0, 1])
def test_blank_slices_have_no_cells_and_no_share_in_the_record(
    dock, viewer, client, make_result, qtbot, blank
):
    viewer.add_image(np.zeros((2, 60, 80)), name="series")
    dock.segment.image.slices.select_data("all")
    start(dock, client)
    seen = make_result()
    seen.instances.columns["agreement"] = np.ones(3)
    nothing = make_result((60, 80), (), timings={}, cell_type="all")
    with qtbot.waitSignal(dock.bridge.finished):
        client.finish(*([seen, nothing] if blank else [nothing, seen]))
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    layer = viewer.layers[-1]
    assert layer.data.max(axis=(1, 2)).tolist() == ([3, 0] if blank else [0, 3])
    assert layer.features["agreement"].tolist() == [1.0] * 3
    facts = layer.metadata["sartorius"]
    assert facts["cell_types"] == ["round"]
    assert (facts["pixels"], facts["pixels_seen"]) == (2 * 60 * 80, 60 * 80)


def test_runs_again_after_cancel(dock, viewer, client, segment, make_result):
    viewer.add_image(np.zeros((60, 80)))
    start(dock, client)
    dock.segment.cancel()
    layer = segment(make_result())
    assert layer.data.max() == 3
    assert len(viewer.layers) == 2


@pytest.mark.parametrize(
    "message",
    [
        CrashedMessage(1, "The worker was killed: run again.", "log"),
        FailedMessage(1, "The worker was killed: run again.", "Traceback"),
    ],
)
def test_crash_is_one_sentence_and_the_next_run_works(
    dock, viewer, client, notes, qtbot, segment, make_result, message
):
    viewer.add_image(np.zeros((60, 80)))
    start(dock, client)
    with qtbot.waitSignal(dock.bridge.failed):
        client.say(message)
    qtbot.waitUntil(lambda: bool(notes))
    assert notes == [("show_error", "The worker was killed: run again.")]
    assert dock.segment.run_panel.message.text() == "The worker was killed: run again."
    assert len(viewer.layers) == 1
    segment(make_result())
    assert len(viewer.layers) == 2


def test_unreadable_pixels_are_one_sentence(dock, viewer, client, notes, qtbot, monkeypatch):
    def broken(layer, index):
        raise UserError("The pixels of 'plate' could not be read: disk on fire")

    viewer.add_image(np.zeros((60, 80)), name="plate")
    monkeypatch.setattr("napari_sartorius.ui.image_source.take_plane", broken)
    with qtbot.waitSignal(dock.bridge.failed):
        dock.segment.run()
    qtbot.waitUntil(lambda: bool(notes))
    assert "disk on fire" in dock.segment.run_panel.message.text()
    assert not client.jobs


def test_second_result_hides_the_first(dock, viewer, segment, make_result):
    viewer.add_image(np.zeros((60, 80)), name="plate")
    first = segment(make_result())
    second = segment(make_result())
    assert (first.visible, second.visible) == (False, True)
    assert first in viewer.layers


def test_notices_reach_the_user_once(dock, viewer, client, notes, qtbot, make_result):
    viewer.add_image(np.zeros((60, 80)))
    start(dock, client)
    client.say(NoticeMessage(1, "the limit of 1000 objects was reached"))
    with qtbot.waitSignal(dock.bridge.finished):
        client.finish(make_result(notices=["the limit of 1000 objects was reached"]))
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    assert notes == [("show_warning", "The limit of 1000 objects was reached.")]
    assert "limit of 1000" in dock.segment.run_panel.notices.text()


def test_what_a_run_said_goes_with_its_image(dock, viewer, client, qtbot, segment, make_result):
    segment(make_result(notices=["the limit of 1000 objects was reached"]))
    panel = dock.segment.run_panel
    assert panel.message.text().startswith("3 cells")
    assert panel.notices.text()
    viewer.layers["plate"].scale = (2, 2)  # still the same image
    assert panel.notices.text()
    viewer.add_image(np.zeros((60, 80)), name="other")
    assert (panel.message.text(), panel.notices.text()) == ("", "")
    start(dock, client)
    client.say(NoticeMessage(1, "the processor is used"))
    qtbot.waitUntil(lambda: bool(panel.notices.text()))
    dock.segment.image.layers.choose(viewer.layers["plate"])  # of a run that goes on it is kept
    assert panel.notices.text()
    dock.segment.cancel()


def test_image_removed_during_the_run_discards_the_result(
    dock, viewer, client, notes, qtbot, make_result
):
    viewer.add_image(np.zeros((60, 80)), name="plate")
    start(dock, client)
    viewer.layers.clear()
    client.finish(make_result())
    qtbot.waitUntil(lambda: bool(notes))
    assert "'plate' was removed during the run" in notes[0][1]
    assert len(viewer.layers) == 0


def test_image_that_changed_its_size_discards_the_result(
    dock, viewer, client, notes, qtbot, make_result
):
    layer = viewer.add_image(np.zeros((60, 80)), name="plate")
    start(dock, client)
    layer.data = np.zeros((10, 10))
    client.finish(make_result())
    qtbot.waitUntil(lambda: bool(notes))
    assert "changed its size" in notes[0][1]
    assert len(viewer.layers) == 1


def test_each_run_reads_the_pixels_again_and_keeps_its_own_copy(
    dock, viewer, client, segment, make_result
):
    pixels = np.zeros((60, 80))
    viewer.add_image(pixels, name="plate")
    segment(make_result())
    pixels[:] = 5
    dock.segment.image.layers.choose(viewer.layers["plate"])
    start(dock, client)
    pixels[:] = 9
    assert client.jobs[0].image.pixels.max() == 0
    assert client.jobs[1].image.pixels.max() == 5


def test_renamed_during_the_run_gives_the_new_name(dock, viewer, client, qtbot, make_result):
    layer = viewer.add_image(np.zeros((60, 80)), name="plate")
    start(dock, client)
    layer.name = "dish"
    with qtbot.waitSignal(dock.bridge.finished):
        client.finish(make_result())
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    assert viewer.layers[-1].name == "dish cells"


def test_config_says_what_the_controls_say(dock, viewer, client):
    viewer.add_image(np.zeros((60, 80, 3), np.uint8), rgb=True)
    tab = dock.segment
    tab.model.preset.set_value("best")
    tab.model.cell_type.select_data("long")
    tab.image.channel.select_data(1)
    tab.advanced.diameter.set_number(33.0)
    tab.advanced.tile.select_data(512)
    tab.advanced.min_size.set_number(7)
    start(dock, client)
    config = client.jobs[-1].config
    assert (config.model, config.cell_type, config.preset) == ("second", "long", "best")
    assert (config.channel, config.diameter, config.tile, config.min_size) == (1, 33.0, 512, 7)
    assert config.min_score is None
    assert config.pixel_size is None
    assert client.jobs[-1].image.pixels.shape == (60, 80, 3)
    assert client.jobs[-1].image.axes == "YXS"


def test_network_view_shows_what_the_network_sees(dock, viewer):
    viewer.add_image(
        np.tile(np.arange(80, dtype=np.uint16) * 100, (60, 1)), name="plate", scale=(2, 3)
    )
    dock.segment.image.network_view.click()
    seen = viewer.layers[-1]
    assert seen.name == "plate seen by the network"
    assert seen.data.dtype == np.float32
    assert -2.5 < seen.data.min() < -1.9 < 1.9 < seen.data.max() < 2.5
    np.testing.assert_allclose(seen.scale, (2, 3))


def test_what_the_network_sees_is_no_image_to_work_on(dock, viewer, tmp_path):
    plate = viewer.add_image(np.tile(np.arange(80, dtype=np.uint16) * 100, (60, 1)), name="plate")
    dock.segment.image.network_view.click()
    seen = viewer.layers[-1]
    cells = viewer.add_labels(np.ones((60, 80), np.uint8), name="drawn")
    tab = dock.segment
    assert seen.data.shape == plate.data.shape
    assert tab.image.layer is plate
    assert [tab.image.layers.itemText(n) for n in range(tab.image.layers.count())] == ["plate"]
    assert image_below(viewer, cells) is plate
    ((_, images),), _ = pairs_of(viewer.layers)
    assert images == [plate]
    layers = [one.as_layer_data_tuple() for one in (cells, seen)]
    dataset = dataset_from_layers(tmp_path / "a.json", layers)
    assert len(dataset.images) == 1
    assert list(tmp_path.iterdir()) == []


def test_network_view_has_the_networks_pixels_where_the_image_lies(dock, viewer):
    plate = viewer.add_image(
        np.tile(np.arange(80, dtype=np.uint16) * 100, (60, 1)),
        name="plate",
        scale=(2, 3),
        translate=(10, 20),
        rotate=30,
    )
    tab = dock.segment
    diameter = tab.model.card.cell_diameter
    tab.advanced.diameter.set_number(diameter / 2)
    tab.image.network_view.click()
    seen = viewer.layers[-1]
    assert seen.data.shape == (120, 160)
    for corner in ((-0.5, -0.5), (59.5, 79.5)):
        twice = 2 * (np.asarray(corner) + 0.5) - 0.5
        np.testing.assert_allclose(seen.data_to_world(twice), plate.data_to_world(corner))


def test_scale_is_told_for_models_that_look_at_whole_images_of_one_size(dock, viewer):
    card = dock.segment.model.card.with_changes(input_size={"short_edge": 120, "long_edge": 999})
    panel = dock.segment.advanced
    panel.set_card(card)
    panel.set_layer(None)
    assert not panel.scale_text.isVisibleTo(panel)
    panel.set_layer(None, (60, 80))
    assert "at 2 times its size" in panel.scale_text.text()
    panel.diameter.set_number(card.cell_diameter)
    assert not panel.scale_text.isVisibleTo(panel)


def test_network_view_of_nan_is_one_sentence(dock, viewer, notes):
    viewer.add_image(np.full((60, 80), np.nan), contrast_limits=(0, 1))
    dock.segment.image.network_view.click()
    assert len(viewer.layers) == 1
    assert "NaN" in notes[0][1]
