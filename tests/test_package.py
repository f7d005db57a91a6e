"""What a user gets by installing: a light import, a valid manifest, the models in the wheel."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import napari_sartorius

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "napari_sartorius"
HEAVY = ("torch", "torchvision", "timm", "PyQt6", "PySide6", "qtpy", "napari", "skimage", "pandas")


def loaded_by(statement: str) -> set[str]:
    """Modules and their packages that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )
    return set(run.stdout.split())


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_importing_the_package_is_light():
    assert loaded_by("import napari_sartorius").isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "room",
    [
        "core",
        "io",
        "evaluation",
        "postprocess",
        "engine",
        "ui",
        "zoo",
        "zoo.checkpoints",
        "samples",
        "cli",
    ],
)
def test_no_room_loads_torch_or_qt_before_it_is_used(room):
    loaded = loaded_by(f"import napari_sartorius.{room}")
    assert loaded.isdisjoint({"torch", "torchvision", "timm", "PyQt6", "PySide6", "napari"})


def test_the_dock_and_the_engine_client_load_no_torch():
    pytest.importorskip("napari")
    loaded = loaded_by("import napari_sartorius.ui.dock, napari_sartorius.engine.client")
    assert loaded.isdisjoint({"torch", "torchvision", "timm"})


def test_a_list_of_models_needs_no_architectures():
    loaded = loaded_by("from napari_sartorius.zoo import list_bundles; assert list_bundles()")
    assert "napari_sartorius.zoo.card" in loaded
    assert "napari_sartorius.nn.config" not in loaded


def test_the_list_in_the_dock_needs_no_whole_cards():
    code = "from napari_sartorius.zoo.summary import list_summaries; assert list_summaries()"
    loaded = loaded_by(f"import os; os.environ['SARTORIUS_MODELS'] = os.devnull; {code}")
    assert "napari_sartorius.zoo.summary" in loaded
    assert "napari_sartorius.zoo.card" not in loaded


def test_public_names_exist():
    for name in napari_sartorius.__all__:
        assert getattr(napari_sartorius, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = napari_sartorius.no_such_name


def test_versions_agree():
    assert project()["version"] == napari_sartorius.__version__


def test_the_installed_package_is_this_one():
    try:
        installed = importlib.metadata.distribution("napari-sartorius")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("run from the source tree, not installed")
    origin = json.loads(installed.read_text("direct_url.json") or "{}").get("url")
    if origin not in (None, ROOT.as_uri()):
        pytest.skip(f"another tree is installed, {origin}")
    assert installed.version == napari_sartorius.__version__
    groups = {point.group: point.value for point in installed.entry_points}
    assert groups["napari.manifest"] == "napari_sartorius:napari.yaml"
    assert groups["console_scripts"] == project()["scripts"]["napari-sartorius"]


def test_no_window_toolkit_in_the_base_dependencies():
    names = {re.split(r"[^\w.-]", one)[0].lower() for one in project()["dependencies"]}
    toolkits = {"pyqt5", "pyqt6", "pyside2", "pyside6"}  # pyqtgraph draws with any of them
    assert "pyqtgraph" in names
    assert not names & {*toolkits, "napari"}


def test_manifest_is_valid_and_linked_from_the_root():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(PACKAGE / "napari.yaml")
    manifest.validate_imports()
    assert manifest.name == project()["name"]
    link = (ROOT / "napari.yaml").read_text(encoding="utf-8")
    # git on Windows writes a link as a file that holds the target's name
    target = "src/napari_sartorius/napari.yaml"
    assert link in (target, (ROOT / target).read_text(encoding="utf-8"))


def test_every_sample_of_the_manifest_loads_or_names_the_internet():
    from npe2 import PluginManifest

    from napari_sartorius.samples import napari_samples

    manifest = PluginManifest.from_file(PACKAGE / "napari.yaml")
    offered = {
        command.python_name.partition(":")[2]
        for command in manifest.contributions.commands
        if command.python_name and "napari_samples:" in command.python_name
    }
    assert {"phase_contrast", "immunohistochemistry"} <= offered
    assert all(callable(getattr(napari_samples, name)) for name in offered)


@pytest.mark.slow
def test_the_wheel_holds_manifest_types_and_models(tmp_path):
    source = tmp_path / "source"  # a copy: what an earlier build left behind must not help
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(tmp_path), "."],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-1000:] + run.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for path in PACKAGE.rglob("*"):
        shipped = path.suffix in {".py", ".json", ".safetensors", ".yaml", ".typed"}
        if path.is_file() and shipped:
            assert path.relative_to(ROOT / "src").as_posix() in names
    assert {"napari_sartorius/napari.yaml", "napari_sartorius/py.typed"} <= names
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)
    for model in ("neurons", "nuclei"):
        assert f"napari_sartorius/zoo/bundled/{model}/weights.safetensors" in names


@pytest.mark.parametrize("model", ["neurons", "nuclei"])
def test_bundled_models_are_small_enough_to_ship(model):
    weights = PACKAGE / "zoo" / "bundled" / model / "weights.safetensors"
    assert 0 < weights.stat().st_size <= 25e6
