"""Without detectron2 its engine says what to do, and what only reads files still works."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch
from typer.testing import CliRunner

from napari_sartorius.cli.main import app
from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco import CocoDataset
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import Detectron2Config
from napari_sartorius.training.config import TrainConfig
from napari_sartorius.training.run import train
from napari_sartorius.zoo import ModelCard, find_bundle
from napari_sartorius.zoo.bundle import save_bundle
from napari_sartorius.zoo.card import CategoryCard
from napari_sartorius.zoo.detectron2_engine import import_with_detectron2, why_unavailable
from napari_sartorius.zoo.detectron2_engine.configuration import read_configuration

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.zoo import ModelBundle

CONFIGURATION = {"VERSION": 2, "MODEL": {"ANCHOR_GENERATOR": {"SIZES": [[12], [24, 48]]}}}


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take detectron2 away where it is installed."""
    monkeypatch.setitem(sys.modules, "detectron2", None)


@pytest.fixture
def bundle(tmp_path: Path) -> ModelBundle:
    card = ModelCard(
        name="theirs",
        title="t",
        description="d",
        categories=(CategoryCard(name="cell", colour="#112233"),),
        cell_diameter=20,
        architecture=Detectron2Config(num_classes=1, configuration=CONFIGURATION),
        licence="l",
        training_data="t",
    )
    return save_bundle(tmp_path / "theirs", card, {"a": torch.zeros(1)}, "float32")


@pytest.mark.usefixtures("missing")
def test_one_sentence_says_what_to_install_and_what_works_without(tmp_path: Path) -> None:
    reason = why_unavailable()
    assert reason is not None
    assert "pip install" in reason
    assert "work without it" in reason
    with pytest.raises(UserError) as told:
        import_with_detectron2(tmp_path / "model.pth", config=tmp_path / "config.yaml")
    assert str(told.value) == reason
    assert "\n" not in reason


@pytest.mark.usefixtures("missing")
def test_the_command_says_it_too(tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(b"")
    command = ["models", "import", str(tmp_path / "model.pth"), "--engine", "detectron2"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code != 0
    assert isinstance(result.exception, UserError | SystemExit)
    assert "detectron2 is not installed" in f"{result.output}{result.exception}"


@pytest.mark.usefixtures("missing")
def test_a_model_that_needs_it_shows_its_card_but_does_not_load(bundle: ModelBundle) -> None:
    found = find_bundle(bundle.path)
    assert found.card.architecture.smallest_object == 12
    assert found.card.input_channels == 3
    with pytest.raises(UserError, match="detectron2 is not installed"):
        found.load_network()
    shown = CliRunner().invoke(app, ["models", "show", str(bundle.path)])
    assert shown.exit_code == 0
    assert "Cannot be used here: detectron2 is not installed" in shown.output


def test_a_card_keeps_the_configuration(bundle: ModelBundle) -> None:
    text = json.loads((bundle.path / "model.json").read_text())
    assert text["architecture"]["configuration"] == CONFIGURATION
    assert find_bundle(bundle.path).card.architecture == bundle.card.architecture


def test_training_from_it_is_refused_before_anything_is_prepared(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="cannot be trained here"):
        build_network(bundle.card.architecture)
    config = TrainConfig(architecture=bundle.card.architecture)
    nothing = CocoDataset([], [], {})
    with pytest.raises(UserError, match="cannot be trained here"):
        train(nothing, tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "configuration",
    [{}, {"MODEL": 1}, {"MODEL": {}, "SOLVER": {}}, {"MODEL": {"SIZES": [float("inf")]}}],
)
def test_a_tree_holds_a_model_and_nothing_else(configuration: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="configuration"):
        Detectron2Config.model_validate({"num_classes": 1, "configuration": configuration})


def test_a_configuration_is_read_with_its_bases(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "root.yaml").write_text("MODEL: {A: 1, B: {C: 2, D: 3}}\nVERSION: 2\n")
    (tmp_path / "middle.yaml").write_text("_BASE_: base/root.yaml\nMODEL: {B: {C: 4}}\n")
    (tmp_path / "top.yaml").write_text("_BASE_: middle.yaml\nMODEL:\n  E: (1, 2)\n")
    read = read_configuration(tmp_path / "top.yaml")
    assert read.content == {"MODEL": {"A": 1, "B": {"C": 4, "D": 3}, "E": "(1, 2)"}, "VERSION": 2}
    assert read.bases == ("middle.yaml", "root.yaml")
    assert read.says("MODEL.B.D")
    assert not read.says("MODEL.B.D.X")
    assert not read.says("INPUT")


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{n}: &{n} [{','.join([f'*{b}'] * 10)}]\n" for b, n in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("config.py", "model = L(GeneralizedRCNN)()", "a Python program that would run"),
        ("lazy.yaml", "model: {_target_: os.system}", "names Python functions to run"),
        ("run.yaml", "MODEL: !!python/object/apply:os.system [ls]", "YAML file of plain data"),
        ("other.yaml", "model: {lr: 1}", "has no section MODEL"),
        ("list.yaml", "[1, 2]", "has no sections"),
        ("broken.yaml", "MODEL: {", "YAML file of plain data"),
        ("bytes.yaml", "\udcff", "YAML file of plain data"),
        ("loop.yaml", "_BASE_: loop.yaml\nMODEL: {}", "builds on itself"),
        ("far.yaml", "_BASE_: detectron2://x.yaml\nMODEL: {}", "not a file beside it"),
        ("orphan.yaml", "_BASE_: none.yaml\nMODEL: {}", "none.yaml cannot be read"),
        ("bomb.yaml", f"MODEL: {{A: 1}}\n{BOMB}", "far more entries"),
        ("cycle.yaml", "MODEL: &m {A: *m}", "far more entries"),
        ("large.yaml", "MODEL: {}\n" + "#" * (2 << 20), "too large"),
    ],
)
def test_files_that_are_no_plain_configuration_are_refused(
    name: str, text: str, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(UserError, match=sentence) as told:
        read_configuration(path)
    assert "\n" not in str(told.value)


def test_nothing_of_detectron2_or_torch_is_imported_to_show_a_card() -> None:
    code = (
        "import sys; import napari_sartorius.zoo.detectron2_engine as e; e.why_unavailable();"
        "assert not {'torch', 'detectron2'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
