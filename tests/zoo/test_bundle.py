"""Bundles come back as they were saved, and damage is one clear sentence."""

from __future__ import annotations

import json
import shutil
import zipfile
from typing import TYPE_CHECKING

import pytest
import torch
from pydantic import ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import PyramidConfig
from napari_sartorius.zoo import (
    CategoryCard,
    ModelBundle,
    catalogue,
    find_bundle,
    list_bundles,
    save_bundle,
)
from napari_sartorius.zoo.folders import SHIPPED
from tiny_models import save_tiny_bundle, tiny_card

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def saved(tmp_path: Path) -> ModelBundle:
    return save_tiny_bundle(tmp_path / "tiny", thresholds={})


def test_weights_come_back_to_half_precision(saved: ModelBundle) -> None:
    torch.manual_seed(0)
    original = build_network(saved.card.architecture).state_dict()
    loaded = ModelBundle.open(saved.path).load_network().state_dict()
    assert loaded.keys() == original.keys()
    for name, value in original.items():
        wanted = value.half().float() if value.dtype.is_floating_point else value
        torch.testing.assert_close(loaded[name], wanted, rtol=0, atol=0)


def test_a_second_save_changes_nothing(saved: ModelBundle, tmp_path: Path) -> None:
    again = save_bundle(tmp_path / "again", saved.card, saved.load_network().state_dict())
    assert again.card == saved.card


def test_a_zip_is_a_bundle_too(saved: ModelBundle, tmp_path: Path) -> None:
    path = tmp_path / "tiny.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for member in saved.path.iterdir():
            archive.write(member, member.name)
    assert ModelBundle.open(path).read_weights() == saved.read_weights()


def test_exchanged_weights_are_refused(saved: ModelBundle) -> None:
    weights = saved.path / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(UserError, match="do not match its card"):
        saved.load_network()


def test_weights_of_another_architecture_are_refused(saved: ModelBundle) -> None:
    card = saved.card.with_changes(
        architecture=saved.card.architecture.model_copy(
            update={"pyramid": PyramidConfig(width=32)}
        ).model_dump()
    )
    with pytest.raises(UserError, match="do not fit the network"):
        ModelBundle(card, saved.path).load_network()


def test_missing_weights_are_one_sentence(saved: ModelBundle) -> None:
    (saved.path / "weights.safetensors").unlink()
    with pytest.raises(UserError, match=r"no readable weights\.safetensors"):
        saved.load_network()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "x"}'])
def test_a_damaged_card_is_one_sentence(saved: ModelBundle, text: str) -> None:
    (saved.path / "model.json").write_text(text)
    with pytest.raises(UserError, match="cannot be read"):
        ModelBundle.open(saved.path)


def test_a_folder_without_a_card_is_not_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a model bundle"):
        ModelBundle.open(tmp_path)


def test_infinite_weights_are_not_saved(tmp_path: Path) -> None:
    card = tiny_card()
    weights = build_network(card.architecture).state_dict()
    weights["box_head.class_logits.bias"] += 1e6
    with pytest.raises(ValueError, match="16-bit"):
        save_bundle(tmp_path / "huge", card, weights)
    assert not (tmp_path / "huge" / "model.json").exists()


def test_cards_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValidationError, match="names in the card: 1"):
        tiny_card(categories=(CategoryCard(name="round", colour="#ff0000"),))
    with pytest.raises(ValidationError, match="unknown categories"):
        tiny_card(thresholds={"square": {"score": 0.5}})
    with pytest.raises(ValidationError):
        tiny_card(colour="red")
    with pytest.raises(ValidationError, match="three channels"):
        tiny_card(normalisation={"method": "fixed", "mean": (1.0, 2.0, 3.0)})


def test_the_catalogue_lists_user_models_and_survives_damaged_ones(
    saved: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    shutil.copytree(saved.path, models / "mine")
    (models / "broken").mkdir()
    (models / "broken" / "model.json").write_text("{")
    monkeypatch.setenv("SARTORIUS_MODELS", str(models))
    assert "tiny" in [bundle.card.name for bundle in list_bundles()]
    assert find_bundle("tiny").path == models / "mine"
    assert find_bundle(saved.path).card == saved.card
    with pytest.raises(UserError, match=r"known models: .*tiny"):
        find_bundle("unheard-of")


def test_a_shipped_model_is_found_alone_unless_the_user_has_models(
    saved: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    monkeypatch.setenv("SARTORIUS_MODELS", str(models))
    opened: list[Path] = []
    read = catalogue.open_bundle
    monkeypatch.setattr(catalogue, "open_bundle", lambda path: opened.append(path) or read(path))
    assert find_bundle("nuclei").path == SHIPPED / "nuclei"
    assert opened == [SHIPPED / "nuclei"]
    shutil.copytree(saved.path, models / "better")
    card = json.loads((models / "better" / "model.json").read_text())
    (models / "better" / "model.json").write_text(json.dumps(card | {"name": "nuclei"}))
    assert find_bundle("nuclei").path == models / "better"


def test_a_card_is_readable_json(saved: ModelBundle) -> None:
    content = json.loads((saved.path / "model.json").read_text())
    assert content["architecture"]["trunk"]["stem_stride"] == 1
    assert len(content["sha256"]) == 64


def test_a_network_of_a_newer_version_is_listed_and_refused_when_used(saved: ModelBundle) -> None:
    path = saved.path / "model.json"
    content = json.loads(path.read_text())
    content["architecture"]["pyramid"]["turbo"] = True
    path.write_text(json.dumps(content))
    bundle = ModelBundle.open(saved.path)
    assert bundle.card.title == saved.card.title
    assert bundle.card.input_channels == saved.card.input_channels
    with pytest.raises(UserError, match=r"not known .*turbo.*: update napari-sartorius"):
        bundle.load_network()
