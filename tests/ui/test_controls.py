"""Model card, advanced settings, run bar and preferences."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QEnterEvent
from qtpy.QtWidgets import QApplication

from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.nn.config import MaskRCNNConfig
from napari_sartorius.ui import settings
from napari_sartorius.ui.advanced_panel import AdvancedPanel
from napari_sartorius.ui.forms import quiet
from napari_sartorius.ui.model_card import metrics_text
from napari_sartorius.ui.model_panel import ModelPanel
from napari_sartorius.ui.run_panel import duration
from napari_sartorius.ui.settings import Preferences, read_preferences
from napari_sartorius.ui.spins import OptionalSpin
from napari_sartorius.ui.summary import filter_text, timings_text
from napari_sartorius.ui.tooltips import TOOLTIPS
from napari_sartorius.zoo.card import CategoryCard


def test_card_shows_what_it_finds_and_its_licence(qtbot, card_maker):
    panel = ModelPanel([card_maker("first", licence="research only")])
    qtbot.addWidget(panel)
    view = panel.card_view
    assert view.licence.text() == "Licence: research only"
    for fact in ("about 20 px (10 µm) across", "mAP 0.5", "squares", "circles"):
        assert fact in view.details.text()
    assert "round" in view.categories.text()
    assert "#e69f00" in view.categories.text()


def test_another_model_brings_its_own_cell_types(qtbot, card_maker):
    single = card_maker(
        "second",
        categories=(CategoryCard(name="nucleus", colour="#112233"),),
        architecture=MaskRCNNConfig(num_classes=1),
        thresholds={},
    )
    panel = ModelPanel([card_maker("first"), single])
    qtbot.addWidget(panel)
    panel.cell_type.select_data("long")
    assert panel.cell_type_value == "long"
    panel.models.setCurrentIndex(1)
    assert panel.cell_type_value == "auto"
    assert panel.cell_type.isHidden()
    panel.models.setCurrentIndex(0)
    assert [panel.cell_type.itemText(i) for i in range(3)] == ["Automatic", "round", "long"]


def test_what_nobody_sees_yet_is_not_styled(qtbot, card_maker):
    panel = ModelPanel([card_maker("first")])
    qtbot.addWidget(panel)
    view = panel.card_view
    parts = [view.licence, view.categories, view.more, panel.cell_type]
    polished = Qt.WidgetAttribute.WA_WState_Polished
    assert [one.testAttribute(polished) for one in parts] == [False] * 4
    panel.show()
    assert all(one.isVisible() and one.testAttribute(polished) for one in parts)


def test_presets_explain_themselves(qtbot, card_maker):
    panel = ModelPanel([card_maker("first", views={"fast": ("a",), "balanced": ("a", "b")})])
    qtbot.addWidget(panel)
    panel.preset.set_value("fast")
    assert panel.preset_text.text() == "Looks at the image once: quickest."
    panel.preset.set_value("balanced")
    assert "Joins 2 views: steadier, about 2 x the time of Fast." in panel.preset_text.text()


def test_untouched_advanced_settings_leave_everything_to_the_model(qtbot, card_maker):
    panel = AdvancedPanel()
    qtbot.addWidget(panel)
    panel.set_card(card_maker())
    assert SegmentConfig(**panel.values()) == SegmentConfig()
    assert panel.diameter.text() == "20 px (model)"
    assert panel.min_size.text() == "20 to 30 px (model)"


def test_thresholds_per_category_and_back(qtbot, card_maker):
    panel = AdvancedPanel()
    qtbot.addWidget(panel)
    panel.set_card(card_maker())
    panel._thresholds["round"].stepUp()
    assert panel.values()["score_thresholds"] == {"round": pytest.approx(0.4)}
    panel.mask_nms.set_number(0.55)
    panel.reset_button.click()
    assert set(panel.values()) == {"tile", "device"}


def test_rescaling_is_announced(qtbot, card_maker):
    panel = AdvancedPanel()
    qtbot.addWidget(panel)
    panel.set_card(card_maker())  # 20 px cells, 0.5 µm pixels
    assert panel.scale_text.isHidden()
    panel.set_layer(1.0)
    assert "2 times its size" in panel.scale_text.text()
    panel.diameter.set_number(40.0)
    assert "0.5 times its size" in panel.scale_text.text()


def test_optional_number_steps_from_its_word_and_back(qtbot):
    spin = OptionalSpin(0.0, 1.0, 0.25, 2, word="model")
    qtbot.addWidget(spin)
    spin.set_start(0.5)
    assert spin.number() is None
    assert spin.text() == "model"
    spin.stepUp()
    assert spin.number() == 0.5
    spin.stepDown()
    spin.stepDown()
    assert spin.number() == 0.0
    spin.stepDown()
    assert spin.number() is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59, "59 s"), (150, "2 min"), (3600, "60 min"), (7500, "2 h 5 min")],
)
def test_durations_read_naturally(seconds, text):
    assert duration(seconds) == text


def test_figures_read_naturally():
    assert filter_text(1, 1, 0.4) == "1 cell · confluence 40\u00a0%"
    assert filter_text(999, 12_345, None) == "999 of 12,345 cells shown"
    assert timings_text({"total": 3.0, "network": 2.5, "load": 0.01}) == "3.0 s (network 2.5 s)"
    assert timings_text({}) == "0.0 s"


def test_every_hint_is_a_full_sentence():
    for name, text in TOOLTIPS.items():
        assert text[0].isupper() and text.endswith("."), name


@pytest.fixture
def preferences_file(tmp_path, monkeypatch):
    """Where napari would keep this plugin's preferences; asking napari itself is an error."""
    file = tmp_path / "napari-sartorius.yaml"
    monkeypatch.setattr(settings, "_preferences_file", lambda: file)
    monkeypatch.setattr(settings, "_ask_napari", lambda: pytest.fail("manifests were parsed again"))
    return file


def test_preferences_are_read_from_napari_s_file_alone(preferences_file):
    assert read_preferences() == Preferences()
    preferences_file.write_text("segment:\n  default_device: cpu\n  default_model: ' nuclei '\n")
    assert read_preferences() == Preferences("cpu", "nuclei", "")


@pytest.mark.parametrize(
    ("text", "device"),
    [("cuda:3", "cuda:3"), (" CUDA:2 ", "cuda:2"), ("mps", "mps"), ("gpu", "auto"), ("3", "auto")],
)
def test_any_device_can_be_preferred(preferences_file, text, device):
    preferences_file.write_text(f"segment:\n  default_device: '{text}'\n")
    assert read_preferences().default_device == device


def test_the_pixel_size_field_says_when_it_does_nothing():
    assert "enter a diameter" in TOOLTIPS["pixel_size"]


@pytest.mark.parametrize("text", ["", "segment: 3", "- a", "segment: [", "segment: {other: 1}"])
def test_damaged_preferences_are_the_defaults(preferences_file, text):
    preferences_file.write_text(text)
    assert read_preferences() == Preferences()


def test_preferences_in_the_environment_are_left_to_napari(preferences_file, monkeypatch):
    monkeypatch.setenv("NAPARI_SEGMENT_DEFAULT_DEVICE", "cpu")
    monkeypatch.setattr(settings, "_ask_napari", lambda: Preferences("cpu"))
    assert read_preferences() == Preferences("cpu")


def test_text_can_be_selected_when_the_pointer_is_over_it(qtbot):
    label = quiet("CC BY 4.0")
    qtbot.addWidget(label)
    label.resize(200, 30)
    point = QPointF(5, 5)
    QApplication.sendEvent(label, QEnterEvent(point, point, point))
    assert label.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse


def test_preferences_default_without_a_registered_manifest(npe2pm):
    assert read_preferences() == Preferences()


def test_a_card_s_figures_are_in_words():
    text = metrics_text({"COCO AP": 0.5, "tuning_score_after": 0.5875})
    assert text == "COCO AP 0.5 · competition mAP, thresholds tuned on other images 0.588"
