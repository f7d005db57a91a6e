"""napari finds the dock and keeps the preferences."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import yaml
from npe2 import PluginManifest

import napari_sartorius
from napari_sartorius.ui.correct.tools import TOOLS
from napari_sartorius.ui.dock import SartoriusDock
from napari_sartorius.ui.settings import Preferences, read_keys, read_preferences

USUAL = {tool.name: tool.key for tool in TOOLS}
MANIFEST = Path(napari_sartorius.__file__).parent / "napari.yaml"


@pytest.fixture
def manifest():
    return PluginManifest.from_file(MANIFEST)


def test_dock_is_offered_in_the_menus(manifest):
    widgets = manifest.contributions.widgets
    assert [(w.display_name, w.command) for w in widgets] == [
        ("Sartorius", "napari-sartorius.dock")
    ]
    segment = manifest.contributions.menus["napari/layers/segment"]
    assert [item.command for item in segment] == ["napari-sartorius.dock"]


def test_command_leads_to_the_dock(manifest):
    command = next(c for c in manifest.contributions.commands if c.id == "napari-sartorius.dock")
    module, name = command.python_name.split(":")
    assert getattr(importlib.import_module(module), name) is SartoriusDock


def test_preferences_come_from_napari(request, manifest, tmp_path):
    try:
        npe2pm = request.getfixturevalue("npe2pm")
        request.getfixturevalue("plugin_settings")
    except pytest.FixtureLookupError:
        pytest.skip("this napari has no preferences for plugins (0.9 and newer do)")
    from napari.settings import get_plugin_settings

    npe2pm.register(manifest)
    assert read_preferences() == Preferences()
    section = get_plugin_settings("napari-sartorius").segment
    section.default_device = "cpu"
    section.default_model = "nuclei"
    section.cache_folder = str(tmp_path)
    assert read_preferences() == Preferences("cpu", "nuclei", str(tmp_path))


def test_the_field_of_the_device_takes_any_number_of_gpus(request, manifest):
    device = manifest.contributions.configurations["segment"].properties["default_device"]
    assert device.enum is None
    try:
        npe2pm = request.getfixturevalue("npe2pm")
        request.getfixturevalue("plugin_settings")
    except pytest.FixtureLookupError:
        pytest.skip("this napari has no preferences for plugins (0.9 and newer do)")
    from napari.settings import get_plugin_settings

    npe2pm.register(manifest)
    get_plugin_settings("napari-sartorius").segment.default_device = "cuda:5"
    assert read_preferences().default_device == "cuda:5"


def test_keys_of_tools_come_from_napari(request, manifest):
    section = yaml.safe_load(MANIFEST.read_text())["contributions"]["configurations"]["keys"]
    defaults = {name: one["default"] for name, one in section["properties"].items()}
    assert defaults == USUAL
    try:
        npe2pm = request.getfixturevalue("npe2pm")
        request.getfixturevalue("plugin_settings")
    except pytest.FixtureLookupError:
        pytest.skip("this napari has no preferences for plugins (0.9 and newer do)")
    from napari.settings import get_plugin_settings

    npe2pm.register(manifest)
    keys = get_plugin_settings("napari-sartorius").keys
    keys.merge = "Shift-M"
    keys.seeds = "-"
    assert {name: key for name, key in read_keys().items() if key != USUAL[name]} == {
        "merge": "Shift-M",
        "seeds": "",
    }


def test_dock_opens_from_the_plugin_menu(make_napari_viewer, npe2pm, manifest):
    npe2pm.register(manifest)
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-sartorius", "Sartorius")
    assert isinstance(dock, SartoriusDock)
    assert dock.segment.image.layers.layer is None
    dock.shut_down()


def test_dock_from_the_plugin_menu_knows_its_own_layers(
    make_napari_viewer, npe2pm, manifest, tmp_path
):
    npe2pm.register(manifest)
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-sartorius", "Sartorius")
    project = dock.others.project
    project.create(tmp_path / "experiment")
    image = viewer.add_image(np.zeros((40, 40), np.uint8), name="field")
    project.adding.layers_action.trigger()
    own = [layer for layer in viewer.layers if project.session.owns(layer)]
    assert len(own) == 2
    assert image not in own
    project.adding.layers_action.trigger()  # its own layers are not offered again
    assert len(project.session.files) == 2
    dock.shut_down()
