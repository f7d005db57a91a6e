"""A second level in a bundle: written with its card, checked, and taken along in a zip."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.postprocess.filter_config import ShapeFilter
from napari_sartorius.zoo import ModelBundle, ModelCard, find_bundle
from napari_sartorius.zoo.archive import export_bundle, import_bundle_zip
from napari_sartorius.zoo.bundle import RESCORER_FILE
from napari_sartorius.zoo.combine import combine
from napari_sartorius.zoo.rescorer_card import RescorerCard
from napari_sartorius.zoo.rescorer_files import copy_with_rescorer, put_rescorer
from tiny_models import save_tiny_bundle, tiny_card

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"what catboost wrote"


def entry(data: bytes = DATA, **changes: object) -> RescorerCard:
    return RescorerCard.model_validate({"sha256": hashlib.sha256(data).hexdigest(), **changes})


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelBundle:
    monkeypatch.setenv("SARTORIUS_MODELS", str(tmp_path / "models"))
    return save_tiny_bundle(tmp_path / "models" / "tiny")


def test_into_the_model_itself(tiny: ModelBundle) -> None:
    assert tiny.read_rescorer() is None
    put_rescorer(tiny, DATA, entry(min_predicted_iou={"big": 0.4}), {"rescorer_mae": 0.1})
    found = find_bundle("tiny")
    assert found.card.rescorer == entry(min_predicted_iou={"big": 0.4})
    assert found.card.metrics == {"rescorer_mae": 0.1} and found.card.sha256 == tiny.card.sha256
    assert found.read_rescorer() == DATA
    put_rescorer(found, b"newer", entry(b"newer"), {})
    assert find_bundle("tiny").read_rescorer() == b"newer"


def test_into_a_copy(tiny: ModelBundle) -> None:
    copy = copy_with_rescorer(tiny, DATA, entry(), {}, "copy")
    assert copy.card.name == "copy" and copy.read_rescorer() == DATA
    assert copy.verify() > 0 and find_bundle("tiny").card == tiny.card
    with pytest.raises(UserError, match="called copy already"):
        copy_with_rescorer(tiny, DATA, entry(), {}, "copy")


def test_shipped_models_and_zips_are_not_changed(tiny: ModelBundle, tmp_path: Path) -> None:
    zipped = ModelBundle.open(export_bundle(tiny, tmp_path / "tiny.zip"))
    for bundle, reason in ((find_bundle("nuclei"), "ships with"), (zipped, "is the zip")):
        with pytest.raises(UserError, match=reason):
            put_rescorer(bundle, DATA, entry(), {})
    assert copy_with_rescorer(zipped, DATA, entry(), {}, "from-zip").read_rescorer() == DATA


def test_damaged_and_missing_files(tiny: ModelBundle) -> None:
    put_rescorer(tiny, DATA, entry(), {})
    file = tiny.path / RESCORER_FILE
    file.write_bytes(b"exchanged")
    with pytest.raises(UserError, match="does not match its card"):
        find_bundle("tiny").verify()
    file.unlink()
    with pytest.raises(UserError, match="no readable rescorer"):
        find_bundle("tiny").read_rescorer()


def test_it_travels_with_the_model(tiny: ModelBundle, tmp_path: Path) -> None:
    copy = copy_with_rescorer(tiny, DATA, entry(), {}, "copy")
    path = export_bundle(copy, tmp_path / "copy.zip")
    imported = import_bundle_zip(path, name="back")
    assert imported.read_rescorer() == DATA and imported.card.rescorer == copy.card.rescorer


def test_cards_name_known_categories_only() -> None:
    card = tiny_card(
        rescorer=entry(min_predicted_iou={"small": 0.2}),
        filters=(ShapeFilter(feature="major_axis", minimum={"big": 10}),),
    )
    assert ModelCard.model_validate_json(card.model_dump_json()) == card
    for wrong in (
        {"rescorer": entry(min_predicted_iou={"huge": 0.2})},
        {"filters": (ShapeFilter(feature="area", minimum={"huge": 10}),)},
    ):
        with pytest.raises(ValidationError, match="unknown categories: huge"):
            tiny_card(**wrong)
    with pytest.raises(ValidationError):
        RescorerCard(sha256="0" * 64, min_predicted_iou={"big": 2})


def test_other_weights_have_no_second_level(tiny: ModelBundle, tmp_path: Path) -> None:
    judged = put_rescorer(tiny, DATA, entry(), {})
    again = save_tiny_bundle(tmp_path / "again", rescorer=judged.card.rescorer)
    assert again.card.rescorer is None and again.verify() > 0


def test_members_of_an_ensemble_have_none(tiny: ModelBundle) -> None:
    put_rescorer(tiny, DATA, entry(), {})
    copy_with_rescorer(tiny, DATA, entry(), {}, "twin")
    made = combine(["tiny", "twin"], "pair")
    assert all(member.card.rescorer is None for member in made.card.members)
    assert made.verify() > 0
