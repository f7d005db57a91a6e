"""The Models tab: finding, downloading, importing, sharing, renaming and deleting models."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from loopback import LoopbackServer, answer, send_well, stall_at
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.engine.context import WorkerContext
from napari_sartorius.engine.messages import (
    CancelledMessage,
    FailedMessage,
    FinishedMessage,
    ProgressMessage,
)
from napari_sartorius.engine.model_jobs import AddedModel
from napari_sartorius.ui import combine_dialog, model_dialogs
from napari_sartorius.ui.combine_dialog import CombineDialog
from napari_sartorius.ui.dock import SartoriusDock
from napari_sartorius.ui.import_dialog import ImportDialog
from napari_sartorius.ui.model_rows import HERE, model_rows
from napari_sartorius.ui.settings import Preferences
from napari_sartorius.zoo import CategoryCard, find_bundle, list_bundles
from napari_sartorius.zoo.archive import export_bundle
from napari_sartorius.zoo.combine import combine
from napari_sartorius.zoo.ensemble_options import STRATEGIES, EnsembleOptions
from published_fakes import CLOSED, fake_entry, use_catalogue, zip_bytes
from tiny_models import save_tiny_bundle, tiny_architecture


class InThread(Monitor):
    """Runs a job in a thread of this process, where the catalogue is the test's."""

    def __init__(self):
        self.closed = threading.Event()
        self._stop = threading.Event()

    def submit(self, job, listener):
        self._listener = listener
        threading.Thread(target=self._run, args=(job,), daemon=True).start()
        return self

    def cancel(self):
        self._stop.set()

    def close(self):
        self._stop.set()
        self.closed.set()

    def progress(self, stage, fraction):
        self._listener(ProgressMessage(1, stage, fraction, None))

    def check(self):
        if self._stop.is_set():
            raise Cancelled

    def _run(self, job):
        try:
            self._listener(FinishedMessage(1, job.run(WorkerContext(self))))
        except Cancelled:
            self._listener(CancelledMessage(1))
        except UserError as error:
            self._listener(FailedMessage(1, str(error)))


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A models folder with the model "tiny", and a person who has accepted nothing."""
    folder = tmp_path / "models"
    monkeypatch.setenv("SARTORIUS_MODELS", str(folder))
    monkeypatch.delenv("SARTORIUS_PROXY", raising=False)
    accepted = tmp_path / "settings" / "accepted.json"
    monkeypatch.setattr("napari_sartorius.zoo.licences.accepted_file", lambda: accepted)
    save_tiny_bundle(folder / "tiny")
    return folder


@pytest.fixture
def server():
    server = LoopbackServer(zip_bytes(2_000_000))
    yield server
    server.stop()


@pytest.fixture
def entry(server, monkeypatch):
    entry = fake_entry(server.url(), licence=CLOSED)
    unusable = fake_entry(
        server.url(), name="strange", title="Strange", not_importable="it is made of cheese"
    )
    use_catalogue(monkeypatch, entry, unusable)
    monkeypatch.setattr(
        "napari_sartorius.ui.model_rows.published_models", lambda: (entry, unusable)
    )
    return entry


@pytest.fixture
def shown_errors(monkeypatch):
    shown = []
    monkeypatch.setattr("napari_sartorius.ui.models_tab.show_error", shown.append)
    return shown


@pytest.fixture
def dock(viewer, client, models, entry, qtbot, shown_errors):
    cards = [bundle.card for bundle in list_bundles()]
    dock = SartoriusDock(viewer, client, cards, Preferences(default_model="tiny"))
    dock.make_job_client = InThread
    qtbot.addWidget(dock)
    assert dock.segment is not None
    yield dock
    dock.shut_down()


@pytest.fixture
def tab(dock):
    return dock.others.models


def choose(tab, name):
    for number in range(tab.list.view.count()):
        row = tab.list.view.item(number).data(256)
        if row is not None and row.name == name:
            tab.list.view.setCurrentRow(number)
            return row
    raise AssertionError(f"{name} is not in the list")


def accept(monkeypatch, yes=True):
    asked = []
    monkeypatch.setattr(
        model_dialogs, "ask_licence", lambda parent, entry: asked.append(entry.name) or yes
    )
    return asked


def offered(dock):
    combo = dock.segment.model.models
    return [combo.itemData(i) for i in range(combo.count())]


def test_nothing_is_built_before_the_tab_is_shown(dock, qtbot):
    assert [dock.tabs.tabText(i) for i in range(dock.tabs.count())] == [
        "Segment",
        "Correct",
        "Evaluate",
        "Train",
        "Project",
        "Models",
    ]
    assert not dock.others._models.is_made
    dock.show()
    dock.tabs.setCurrentIndex(5)
    qtbot.waitUntil(lambda: dock.others._models.is_made)
    assert dock.others.models.list.row is not None


def test_all_kinds_of_models_are_listed_with_their_facts(tab, models):
    names = [row.name for row in tab.list.shown]
    assert names == ["neurons", "nuclei", "tiny", "far-away", "strange"]
    row = choose(tab, "far-away")
    assert row.line == "mask AP 47.5 · CC-BY-NC-4.0"
    text = tab.facts.facts.text()
    for fact in (
        "mask AP 47.5, box AP 48.2",
        "no commercial use",
        "Somebody 2021",
        "not published",
    ):
        assert fact in text
    assert tab.main_button.text() == "Download"
    assert tab._changes.isHidden()
    choose(tab, "neurons")
    assert "shsy5y" in tab.facts.facts.text()
    assert tab.main_button.text() == "Use for segmenting"
    assert tab.export_button.isEnabled()
    assert not tab.delete_button.isEnabled()
    choose(tab, "tiny")
    assert tab.delete_button.isEnabled()
    assert tab.rename_button.isEnabled()


def test_what_cannot_be_used_says_why(tab, models):
    choose(tab, "strange")
    assert "it is made of cheese" in tab.facts.why_not.text()
    assert not tab.main_button.isEnabled()
    (models / "broken").mkdir()
    (models / "broken" / "model.json").write_text("{")
    tab.refresh()
    choose(tab, "broken")
    assert "cannot be read" in tab.facts.why_not.text()
    assert not tab.main_button.isEnabled()
    assert not tab.export_button.isEnabled()
    assert tab.delete_button.isEnabled()


def test_search(tab):
    tab.list.search.setText("FAR-a somebody")
    assert [row.name for row in tab.list.shown] == ["far-away"]
    assert tab.list.row.name == "far-away"
    tab.list.search.setText("no such thing")
    assert tab.list.row is None
    assert tab.facts.title.text() == "No model matches the search."
    assert not tab.main_button.isEnabled()
    tab.list.search.setText("")
    assert tab.main_button.isEnabled()


def test_download_until_the_model_can_be_used(dock, tab, server, qtbot, monkeypatch):
    asked = accept(monkeypatch)
    choose(tab, "far-away")
    with qtbot.waitSignal(tab.models_changed, timeout=20_000):
        tab.main_button.click()
        assert not tab.panel.cancel_button.isHidden()
        assert not tab.import_button.isEnabled()
    assert asked == ["far-away"]
    assert tab.panel.message.text().startswith("far-away is ready.")
    assert tab.panel.cancel_button.isHidden()
    assert tab.list.row.name == "far-away"
    assert tab.list.row.entry is None
    assert "far-away" in offered(dock)
    assert dock.segment.model.card.name == "tiny"  # what was chosen stays chosen
    tab.main_button.click()
    assert dock.segment.model.card.name == "far-away"
    assert dock.tabs.currentWidget() is dock.segment


def test_a_licence_is_asked_for_once_and_no_means_no(tab, server, qtbot, monkeypatch):
    asked = accept(monkeypatch, yes=False)
    choose(tab, "far-away")
    tab.main_button.click()
    assert not tab._bridge.is_running
    assert "not accepted" in tab.panel.message.text()
    assert server.requests == []
    accept(monkeypatch)
    with qtbot.waitSignal(tab.models_changed, timeout=20_000):
        tab.main_button.click()
    again = accept(monkeypatch)
    monkeypatch.setattr(model_dialogs, "ask_delete", lambda parent, row: True)
    tab.delete_button.click()
    choose(tab, "far-away")
    with qtbot.waitSignal(tab.models_changed, timeout=20_000):
        tab.main_button.click()
    assert asked == ["far-away"]
    assert again == []


def test_cancel_keeps_what_has_arrived(tab, server, models, qtbot, monkeypatch):
    accept(monkeypatch)
    server.behaviours = [stall_at(1_000_000), send_well]
    choose(tab, "far-away")
    tab.main_button.click()
    qtbot.waitUntil(lambda: "MB" in tab.panel.stage.text(), timeout=20_000)
    with qtbot.waitSignal(tab._bridge.cancelled, timeout=20_000):
        tab.panel.cancel_button.click()
        assert tab.panel.stage.text() == "Stopping …"
        server.release.set()
    qtbot.waitUntil(lambda: "is kept for the next time" in tab.panel.message.text())
    assert "far-away" not in {bundle.card.name for bundle in list_bundles()}
    assert (models / ".downloads" / "far-away" / "model.pth.part").stat().st_size > 0
    with qtbot.waitSignal(tab.models_changed, timeout=20_000):
        tab.main_button.click()
    assert "Range" in server.requests[-1][1]


def test_a_failed_download_is_one_sentence(tab, server, qtbot, monkeypatch, shown_errors):
    accept(monkeypatch)
    server.behaviours = [answer(404)]
    choose(tab, "far-away")
    with qtbot.waitSignal(tab._bridge.failed, timeout=20_000):
        tab.main_button.click()
    qtbot.waitUntil(lambda: bool(shown_errors))
    assert "not there any more" in tab.panel.message.text()
    assert tab.main_button.isEnabled()


def test_export_delete_import(dock, tab, models, tmp_path, qtbot, monkeypatch):
    target = tmp_path / "shared.zip"
    monkeypatch.setattr(model_dialogs, "ask_export", lambda parent, row: target)
    choose(tab, "tiny")
    with qtbot.waitSignal(tab._bridge.finished, timeout=20_000):
        tab.export_button.click()
    qtbot.waitUntil(lambda: str(target) in tab.panel.message.text())
    monkeypatch.setattr(model_dialogs, "ask_delete", lambda parent, row: False)
    tab.delete_button.click()
    assert (models / "tiny").is_dir()
    monkeypatch.setattr(model_dialogs, "ask_delete", lambda parent, row: True)
    tab.delete_button.click()
    assert not (models / "tiny").exists()
    assert "tiny" not in offered(dock)
    assert dock.segment.model.card.name == "neurons"
    monkeypatch.setattr(model_dialogs, "ask_file", lambda parent: target)
    monkeypatch.setattr(ImportDialog, "exec", lambda self: True)
    with qtbot.waitSignal(tab.models_changed, timeout=20_000):
        tab.import_button.click()
    assert tab.list.row.name == "tiny"
    assert "tiny" in offered(dock)


def test_a_double_click_chooses_the_model_for_segmenting(dock, tab):
    choose(tab, "far-away")
    tab.list.view.itemDoubleClicked.emit(tab.list.view.currentItem())
    assert dock.segment.model.card.name == "tiny"  # not here yet
    choose(tab, "nuclei")
    tab.list.view.itemDoubleClicked.emit(tab.list.view.currentItem())
    assert dock.segment.model.card.name == "nuclei"


def test_what_was_assumed_can_be_read(tab):
    tab._on_finished(AddedModel("nuclei", ("the anchors are the stock ones", "BGR")))
    assert "2 things had to be assumed" in tab.panel.message.text()
    assert "the anchors are the stock ones" in tab.panel.message.toolTip()


def test_rename(dock, tab, models, monkeypatch, shown_errors):
    choose(tab, "tiny")
    monkeypatch.setattr(model_dialogs, "ask_name", lambda parent, row: "nuclei")
    tab.rename_button.click()
    assert "already" in shown_errors[0]
    monkeypatch.setattr(model_dialogs, "ask_name", lambda parent, row: "small")
    tab.rename_button.click()
    assert tab.list.row.name == "small"
    assert "small" in offered(dock)
    assert find_bundle("small").path == models / "small"


def test_what_was_set_under_segment_survives_a_new_model(dock, tab, models, viewer):
    viewer.add_image(np.zeros((20, 20)))
    dock.segment.advanced_section.set_open(True)
    dock.segment.advanced.diameter.set_number(33.0)
    dock.segment.model.cell_type.select_data("small")
    save_tiny_bundle(models / "other", name="other")
    tab.models_changed.emit()
    assert "other" in offered(dock)
    assert dock.segment.config().model == "tiny"
    assert dock.segment.config().diameter == 33.0
    assert dock.segment.config().cell_type == "small"


def test_closing_the_dock_ends_a_download(dock, tab, server, qtbot, monkeypatch):
    accept(monkeypatch)
    server.behaviours = [stall_at(1_000_000)]
    choose(tab, "far-away")
    tab.main_button.click()
    client = tab._bridge._client
    dock.shut_down()
    assert client.closed.is_set()
    assert not tab._bridge.is_running


def test_the_licence_is_shown_before_it_is_accepted(qtbot, entry):
    box = model_dialogs.licence_box(None, entry)
    qtbot.addWidget(box)
    assert "CC BY-NC 4.0" in box.text()
    assert "no commercial use" in box.text()
    assert CLOSED.url in box.text()
    assert box.defaultButton().text() == "Cancel"


def test_the_import_dialog_asks_what_the_file_does_not_say(qtbot, tmp_path, models):
    checkpoint = tmp_path / "run 7.pth"
    checkpoint.write_bytes(b"x")
    (tmp_path / "config.yaml").write_text("MODEL: {}")
    dialog = ImportDialog(checkpoint)
    qtbot.addWidget(dialog)
    assert dialog.name.text() == "run-7"
    dialog.categories.setText("round, long")
    dialog.diameter.setText("much")
    dialog.accept()
    assert "expected a number" in dialog.problem.text()
    dialog.diameter.setText("12,5")
    job = dialog.job()
    assert (job.path, job.name) == (checkpoint, "run-7")
    assert job.config == tmp_path / "config.yaml"
    assert job.categories == ("round", "long")
    assert job.cell_diameter == 12.5

    path = export_bundle(find_bundle("tiny"), tmp_path / "x.zip")
    zipped = ImportDialog(path)
    qtbot.addWidget(zipped)
    assert zipped.name.text() == "tiny"
    assert zipped.job().config is None


@pytest.mark.slow
def test_import_with_a_real_worker(viewer, client, models, tmp_path, qtbot, monkeypatch):
    path = export_bundle(find_bundle("tiny"), tmp_path / "x.zip")
    dock = SartoriusDock(viewer, client, [], Preferences())
    qtbot.addWidget(dock)
    tab = dock.others.models
    monkeypatch.setattr(model_dialogs, "ask_file", lambda parent: path)
    monkeypatch.setattr(ImportDialog, "exec", lambda self: self.name.setText("copy") or True)
    with qtbot.waitSignal(tab.models_changed, timeout=120_000):
        tab.import_button.click()
    assert tab.list.row.name == "copy"
    assert find_bundle("copy").path == models / "copy"
    dock.shut_down()


def test_asking_where_to_export_adds_the_suffix(tab, monkeypatch):
    row = choose(tab, "tiny")
    monkeypatch.setattr(
        model_dialogs.QFileDialog, "getSaveFileName", lambda *_: ("/somewhere/model", "")
    )
    assert model_dialogs.ask_export(tab, row) == Path("/somewhere/model.zip")
    monkeypatch.setattr(model_dialogs.QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    assert model_dialogs.ask_export(tab, row) is None


def test_combining_models(tab, models, qtbot, monkeypatch):
    save_tiny_bundle(models / "other", name="other")
    tab.refresh("tiny")
    monkeypatch.setattr(CombineDialog, "exec", lambda self: self.tick("other") or True)
    with qtbot.waitSignal(tab.models_changed, timeout=60_000):
        tab.combine_button.click()
        assert not tab.combine_button.isEnabled()
    assert tab.panel.message.text() == "other-tiny is ready."
    assert tab.list.row.name == "other-tiny"
    assert "(other); Tiny (tiny)" in tab.list.row.facts["Members"]
    assert tab.combine_button.isEnabled()
    card = find_bundle("other-tiny").card
    assert card.member_names == ["other", "tiny"]
    assert len(card.passes[0].views) == 1


def test_the_combine_dialog_says_what_is_missing(qtbot, models):
    save_tiny_bundle(models / "other", name="other")
    save_tiny_bundle(
        models / "cells",
        name="cells",
        title="Cells",
        categories=(CategoryCard(name="cell", colour="#e69f00"),),
        architecture=tiny_architecture(1),
        thresholds={},
    )
    rows = [row for row in model_rows() if row.can_join and row.section == HERE]
    rows = [row for row in rows if row.name in ("tiny", "other", "cells")]
    dialog = CombineDialog(rows)
    qtbot.addWidget(dialog)
    dialog.tick("tiny")
    assert dialog.problem.text() == "Tick two or more models."
    dialog.tick("cells")
    assert "choose models that find the same" in dialog.problem.text()
    assert not dialog.ok.isEnabled()
    dialog = CombineDialog(rows)
    qtbot.addWidget(dialog)
    dialog.tick("tiny")
    dialog.tick("other")
    dialog.views.setCurrentIndex(2)
    assert dialog.ok.isEnabled()
    assert dialog.problem.text() == "Best will join 8 looks at each image."
    assert dialog.strategy_text.text().startswith("Boxes, outlines and scores")
    dialog.strategy.select_data("weighted_segments")
    assert "a pixel belongs" in dialog.strategy_text.text()
    qtbot.keyClicks(dialog.name, "!")
    job = dialog.job()
    assert (job.members, job.strategy, job.name) == (
        ("other", "tiny"), "weighted_segments", "other-tiny!",
    )  # fmt: skip
    assert len(job.views) == 4
    dialog.name.clear()
    dialog.name.textEdited.emit("")
    assert dialog.problem.text() == "Give it a name."
    alone = CombineDialog(rows[:1])
    qtbot.addWidget(alone)
    assert "second model" in alone.problem.text()


def test_every_strategy_can_be_chosen():
    assert [name for name, *_ in combine_dialog.STRATEGIES] == list(STRATEGIES)


def test_an_ensemble_is_used_like_a_model(dock, tab, models):
    save_tiny_bundle(models / "other", name="other")
    combine(["tiny", "other"], "pair", EnsembleOptions(views=("identity", "vertical")))
    tab.refresh("pair")
    tab.models_changed.emit()
    tab.use_asked.emit("pair")
    panel = dock.segment.model
    assert panel.card.name == "pair"
    panel.preset.set_value("best")
    text = panel.preset_text.text()
    assert text == "Joins 4 looks of 2 models: most thorough, about 4 x the time of Fast."
    assert "Tiny (other)" in panel.card_view.details.text()
    assert dock.segment.advanced.max_objects.text() == "1000"
    assert dock.segment.config().model == "pair"
