"""Cells that the model draws where the user points, with a scripted engine."""

from __future__ import annotations

from types import SimpleNamespace

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from qtpy.QtCore import QObject

from canvas_hand import drag, press
from correction_layers import grid
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.engine.messages import FailedMessage, FinishedMessage, ProgressMessage
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.prompt import PromptAnswer
from napari_sartorius.ui.correct.correct_tab import CorrectTab
from napari_sartorius.ui.correct.model_drawing import ModelChoice
from napari_sartorius.ui.correct.outline_layer import is_overlay
from napari_sartorius.ui.correct.prompt_bridge import PromptBridge


@pytest.fixture
def second(client):
    """The worker that is made while the dock's own is busy."""
    return type(client)()


@pytest.fixture
def tab(viewer, layer, client, second, card_maker, monkeypatch, qtbot):
    cards = {
        "first": card_maker("first"),
        "kinds": card_maker("kinds", one_category_per_image=True),
    }
    monkeypatch.setattr(
        "napari_sartorius.zoo.find_bundle", lambda name: SimpleNamespace(card=cards[name])
    )
    viewer.layers.insert(0, image_layer(layer.data.shape))
    owner = QObject()
    bridge = PromptBridge(client, lambda: second, owner)
    made = CorrectTab(viewer, None, ModelChoice(bridge, lambda: config_of(made), lambda: None))
    made.model_name = "first"
    qtbot.addWidget(made)
    made.show()
    viewer.layers.selection.active = layer
    yield made
    made.stop()
    bridge.close()


def config_of(tab):
    return SegmentConfig(model=tab.model_name, pixel_size=0.5)


def image_layer(shape, **changes):
    from napari.layers import Image

    pixels = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    return Image(changes.pop("data", pixels), name="plate", **changes)


def answer_of(shape, y0, x0, y1, x1, score=0.83, category="round"):
    """A rectangle of pixels as the model's answer."""
    masks = CropMasks.from_bitmaps([np.ones((y1 - y0, x1 - x0), bool)], [[x0, y0]], shape)
    return PromptAnswer(Instances.from_masks(masks, [score]), category, "cpu", 0.1)


def sketch(viewer):
    """Pixels of what is shown over the cells."""
    return next(one for one in viewer.layers if is_overlay(one)).data


def reply(tab, client, qtbot, *box, **changes):
    """Let the engine answer with a rectangle, and wait until it was used."""
    client.wait_for_job()
    bridge = tab.drawing._choice.bridge
    with qtbot.waitSignal(bridge.answered):
        client.say(
            FinishedMessage(1, answer_of(tab.session.layer.data.shape[-2:], *box, **changes))
        )
    return tab.session.layer.features.set_index("index")


def test_a_click_adds_a_cell_as_one_step(tab, viewer, layer, client, qtbot):
    before, table = layer.data.copy(), layer.features.copy()
    press(layer, "C")
    assert tab.panel.buttons["prompt"].isChecked()
    drag(viewer, (2.0, 30.0))
    rows = reply(tab, client, qtbot, 0, 28, 4, 34)
    job = client.jobs[-1]
    assert job.prompt.points == ((2.5, 30.5),)
    assert job.prompt.box is None
    assert job.prompt.category is None
    assert (layer.data[0:4, 28:34] == 13).all()
    assert rows.loc[13, "source"] == "drawn with model"
    assert rows.loc[13, "category"] == "round"
    assert rows.loc[13, "score"] == pytest.approx(0.83)
    assert tab.table.selected == [13]
    assert tab.status.text().startswith("Added cell 13 (round, 0.83) in ")
    press(layer, "Ctrl+Z")
    np.testing.assert_array_equal(layer.data, before)
    pd.testing.assert_frame_equal(layer.features, table)
    press(layer, "Ctrl+Shift+Z")
    assert layer.features["index"].tolist()[-1] == 13


def test_a_box_is_asked_for_in_pixel_edges(tab, viewer, layer, client, qtbot):
    tab.runner.run("prompt")
    drag(viewer, (0.0, 27.0), (3.0, 30.0), (5.0, 36.0))
    reply(tab, client, qtbot, 0, 28, 4, 34)
    assert client.jobs[-1].prompt.box == (27.5, 0.5, 36.5, 5.5)
    assert not any(one.name == "pen" for one in viewer.layers)


def test_other_cells_keep_their_pixels_unless_asked(tab, viewer, layer, client, qtbot):
    tab.runner.run("prompt")
    drag(viewer, (2.0, 6.0))
    reply(tab, client, qtbot, 0, 4, 12, 12)  # cell 1 has all of it but four rows
    assert (layer.data == 1).sum() == 64
    assert (layer.data == 13).sum() == 4 * 8
    tab.panel.overwrite.setChecked(True)
    drag(viewer, (6.0, 18.0))
    reply(tab, client, qtbot, 4, 16, 12, 24)
    assert (layer.data == 14).sum() == 64
    assert 2 not in layer.features["index"].tolist()


def test_a_click_on_a_cell_is_not_asked(tab, viewer, client):
    tab.runner.run("prompt")
    drag(viewer, (6.0, 6.0))
    assert tab.status.text().startswith("Cell 1 is there already")
    assert not client.jobs


def test_more_and_less_draw_the_selected_cell_anew(tab, viewer, layer, client, qtbot):
    tab.runner.run("prompt")
    drag(viewer, (2.0, 30.0))
    reply(tab, client, qtbot, 0, 28, 4, 34)
    drag(viewer, (2.0, 38.0), modifiers=("Shift",))
    rows = reply(tab, client, qtbot, 0, 28, 4, 40, score=0.9)
    assert client.jobs[-1].prompt.points == ((2.5, 30.5), (2.5, 38.5))
    assert client.jobs[-1].prompt.category == "round"
    assert (layer.data == 14).sum() == 4 * 12
    assert not (layer.data == 13).any()
    assert rows.loc[14, "score"] == pytest.approx(0.9)
    assert tab.status.text().startswith("Refined cell 13, now 14 (round, 0.90)")
    drag(viewer, (2.0, 29.0), modifiers=("Control",))
    reply(tab, client, qtbot, 0, 30, 4, 40)
    assert client.jobs[-1].prompt.outside == ((2.5, 29.5),)
    assert len(client.jobs[-1].prompt.points) == 2
    press(layer, "Ctrl+Z")
    press(layer, "Ctrl+Z")
    assert (layer.data == 13).sum() == 4 * 6
    assert tab.table.selected == [13]


def test_a_second_opinion_replaces_one_cell(tab, layer, client, qtbot):
    before, table = layer.data.copy(), layer.features.copy()
    tab.select([1])
    press(layer, "Shift+C")
    rows = reply(tab, client, qtbot, 4, 4, 12, 8, score=0.7)
    assert client.jobs[-1].prompt.box == (4.0, 4.0, 12.0, 12.0)
    assert client.jobs[-1].prompt.category == "round"
    assert (layer.data == 13).sum() == 32
    assert not (layer.data == 1).any()
    assert rows.loc[13, "score"] == pytest.approx(0.7)
    assert rows.loc[13, "source"] == "drawn with model"
    assert "IoU with before 0.50" in tab.status.text()
    press(layer, "Ctrl+Z")
    np.testing.assert_array_equal(layer.data, before)
    pd.testing.assert_frame_equal(layer.features, table)


def test_the_same_opinion_changes_nothing(tab, layer, client, qtbot):
    before = layer.data.copy()
    tab.select([1])
    tab.runner.run("opinion")
    reply(tab, client, qtbot, 4, 4, 12, 12)
    np.testing.assert_array_equal(layer.data, before)
    assert "just as it is" in tab.status.text()


def test_one_cell_must_be_selected(tab, client):
    tab.select([1, 2])
    tab.runner.run("opinion")
    assert tab.status.text().startswith("Select one cell")
    tab.select([])
    tab.runner.run("opinion")
    assert tab.status.text().startswith("Select one cell")
    assert not client.jobs


def test_nothing_seen_and_failures_are_said(tab, viewer, layer, client, qtbot):
    before = layer.data.copy()
    tab.runner.run("prompt")
    drag(viewer, (2.0, 30.0))
    client.wait_for_job()
    nothing = PromptAnswer(Instances.empty(layer.data.shape), "", "cpu", 0.1)
    client.say(ProgressMessage(1, "loading first", 0.0))
    qtbot.waitUntil(lambda: tab.status.text() == "Loading first …")
    assert sketch(viewer).any()  # the sketch
    client.say(FinishedMessage(1, nothing))
    qtbot.waitUntil(lambda: "sees no cell there" in tab.status.text())
    assert not sketch(viewer).any()
    drag(viewer, (2.0, 30.0))
    client.wait_for_job()
    client.say(FailedMessage(1, "The weights are damaged."))
    qtbot.waitUntil(lambda: tab.status.text() == "The weights are damaged.")
    drag(viewer, (2.0, 30.0))  # the next one is asked all the same
    reply(tab, client, qtbot, 4, 4, 12, 12)
    assert "other cells cover" in tab.status.text()
    np.testing.assert_array_equal(layer.data, before)


def test_questions_wait_in_their_order(tab, viewer, layer, client, qtbot):
    tab.runner.run("prompt")
    drag(viewer, (2.0, 30.0))
    drag(viewer, (14.0, 2.0))
    client.wait_for_job()
    assert len(client.jobs) == 1
    client.say(FinishedMessage(1, answer_of(layer.data.shape, 0, 28, 4, 34)))
    client.wait_for_job()
    assert client.jobs[1].prompt.points == ((14.5, 2.5),)
    client.say(FinishedMessage(1, answer_of(layer.data.shape, 12, 0, 18, 4)))
    qtbot.waitUntil(lambda: layer.features["index"].tolist()[-2:] == [13, 14])


def test_escape_stops_the_model(tab, viewer, layer, client, qtbot):
    before = layer.data.copy()
    tab.runner.run("prompt")
    drag(viewer, (2.0, 30.0))
    client.wait_for_job()
    qtbot.waitUntil(lambda: bool(tab.drawing._choice.bridge._handle))
    press(layer, "Escape")
    assert client.handles[-1].was_cancelled
    assert "stopped" in tab.status.text()
    assert tab.panel.buttons["prompt"].isChecked()
    client.say(FinishedMessage(1, answer_of(layer.data.shape, 0, 28, 4, 34)))
    qtbot.wait(20)
    np.testing.assert_array_equal(layer.data, before)


def test_a_busy_worker_gets_help(tab, viewer, client, second, qtbot):
    client.is_busy = True
    tab.runner.run("prompt")
    drag(viewer, (2.0, 30.0))
    reply(tab, second, qtbot, 0, 28, 4, 34)
    assert not client.jobs
    client.is_busy = False
    drag(viewer, (2.0, 38.0))
    reply(tab, client, qtbot, 0, 38, 4, 40)
    assert len(client.jobs) == len(second.jobs) == 1
    tab.drawing._choice.bridge.close()
    assert (client.closed, second.closed) == (0, 1)


def test_where_images_show_one_kind_the_model_is_told(tab, viewer, client, qtbot):
    tab.model_name = "kinds"
    tab.panel.choose_category("long")
    tab.runner.run("prompt")
    drag(viewer, (2.0, 30.0))
    rows = reply(tab, client, qtbot, 0, 28, 4, 34, category="long")
    assert client.jobs[-1].prompt.category == "long"
    assert rows.loc[13, "category"] == "long"


def test_without_a_fitting_image_it_is_said(tab, viewer, client):
    viewer.layers.remove("plate")
    viewer.add_image(np.zeros((99, 99)), name="other")
    tab.runner.run("prompt")
    drag(viewer, (2.0, 30.0))
    assert tab.status.text().startswith("No image has the same pixels as plate cells")


def test_a_tab_that_stands_alone_says_what_it_needs(viewer, layer, qtbot):
    viewer.add_image(np.zeros(layer.data.shape))
    tab = CorrectTab(viewer)
    qtbot.addWidget(tab)
    tab.show()
    tab.select([1])
    tab.runner.run("opinion")
    assert tab.status.text().startswith("Open the Sartorius dock")
    tab.stop()


def test_a_lazy_stack_is_read_at_the_place_only(viewer, client, card_maker, monkeypatch, qtbot):
    """The window comes from the slice that is shown, and no other is read."""
    monkeypatch.setattr(
        "napari_sartorius.zoo.find_bundle", lambda name: SimpleNamespace(card=card_maker("first"))
    )
    read = []

    def block(info):
        at = info["array-location"]
        read.append(at[0][0])
        return np.full([stop - start for start, stop in at], at[0][0] + 1, np.uint16)

    def part(block_info):
        return block(block_info[None])

    stack = da.map_blocks(
        part,
        chunks=((1,) * 5, (256, 256), (256, 256)),
        dtype=np.uint16,
        meta=np.empty(0, np.uint16),
    )
    viewer.layers.append(image_layer(None, data=stack, contrast_limits=(0, 9), scale=(2, 1, 1)))
    labels = np.zeros((5, 512, 512), np.uint16)
    labels[3, :8, :8] = 1
    layer = viewer.add_labels(labels, scale=(2, 1, 1))
    viewer.dims.set_current_step(0, 3)
    owner = QObject()
    bridge = PromptBridge(client, lambda: client, owner)
    tab = CorrectTab(
        viewer, None, ModelChoice(bridge, lambda: SegmentConfig(model="first"), lambda: None)
    )
    qtbot.addWidget(tab)
    tab.show()
    read.clear()
    tab.drawing.add(np.array([[400.0, 410.0]]), "")
    qtbot.waitUntil(lambda: bool(client.jobs), timeout=60_000)
    window = client.jobs[-1].window
    assert set(read) == {3}
    assert window.image_size == (512, 512)
    assert window.size == (192, 192)
    viewer.dims.set_current_step(0, 1)  # the user goes on meanwhile
    reply(tab, client, qtbot, 395, 400, 405, 420, category="")
    assert (layer.data[3, 395:405, 400:420] == 2).all()
    assert not layer.data[1].any()
    assert layer.features.set_index("index").loc[2, "score"] == pytest.approx(0.83)
    tab.stop()
    bridge.close()


def test_labels_elsewhere_have_no_image(viewer, layer):
    from napari_sartorius.ui.correct.pointed_image import PointedImage

    moved = image_layer(layer.data.shape, translate=(5, 0))
    viewer.layers.append(moved)
    with pytest.raises(UserError, match="same pixels"):
        PointedImage(viewer).find(layer, moved)
    fitting = image_layer(layer.data.shape, visible=False)
    viewer.layers.append(fitting)
    assert PointedImage(viewer).find(layer, fitting)[0] is fitting


def test_a_layer_without_scores_gets_the_column(viewer, client, card_maker, monkeypatch, qtbot):
    data = grid(1, 2)
    layer = viewer.add_labels(data)
    from napari_sartorius.ui.correct.session import CorrectionSession

    session = CorrectionSession(layer, lambda: ())
    mask = np.ones((3, 3), bool)
    label = session.add_found((), mask, (0, 0), {"category": "", "score": 0.5}, "")
    scores = layer.features.set_index("index")["score"]
    assert scores[label] == pytest.approx(0.5)
    assert np.isnan(scores[1])
    session.stop()
