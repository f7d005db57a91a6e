"""Ensembles from cards to files and back, and every way in which members may not fit."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.ensemble.stage_config import StageMeansConfig
from napari_sartorius.ensemble.weighted_boxes import WeightedBoxes
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import ClassifierTrunkConfig, ImageClassifierConfig
from napari_sartorius.zoo import (
    CategoryCard,
    ModelBundle,
    Thresholds,
    find_bundle,
    find_single,
    list_bundles,
    open_bundle,
    save_bundle,
    scan_bundles,
)
from napari_sartorius.zoo.archive import export_bundle, import_bundle_zip
from napari_sartorius.zoo.combine import combine
from napari_sartorius.zoo.ensemble_bundle import EnsembleBundle
from napari_sartorius.zoo.ensemble_card import EnsembleCard, PresetCard, responsible
from napari_sartorius.zoo.ensemble_options import EnsembleOptions
from napari_sartorius.zoo.licence_rank import combined_licence
from napari_sartorius.zoo.manage import bundle_bytes, remove_bundle, rename_bundle, why_unusable
from tiny_ensembles import (
    BRIGHT,
    DIM,
    categories,
    classifier_card,
    ensemble_of,
    member_card,
    one_pass,
)
from tiny_models import save_tiny_bundle, tiny_architecture, tiny_card

if TYPE_CHECKING:
    from pathlib import Path

CATEGORIES = (
    CategoryCard(name="big", colour="#e69f00"),
    CategoryCard(name="small", colour="#56b4e9"),
)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("SARTORIUS_MODELS", str(folder))
    return folder


def save_both(models: Path) -> list[str]:
    """Two models, the second with its categories the other way round."""
    save_tiny_bundle(models / "one", name="one", citation="A", licence="MIT")
    save_tiny_bundle(
        models / "two",
        name="two",
        categories=CATEGORIES[::-1],
        citation="B",
        licence="CC BY-NC 4.0",
        cell_diameter=20.0,
        thresholds={"big": Thresholds(score=0.4, min_size=40), "small": Thresholds(score=0.0)},
    )
    return ["one", "two"]


@pytest.fixture
def two(models: Path) -> list[str]:
    """Both are installed."""
    return save_both(models)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an ensemble of both; making one runs the networks."""
    place = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SARTORIUS_MODELS", str(place))
        return combine(save_both(place), "pair").path


@pytest.fixture
def pair(two: list[str], models: Path, made_once: Path) -> EnsembleBundle:
    shutil.copytree(made_once, models / "pair")
    bundle = open_bundle(models / "pair")
    assert isinstance(bundle, EnsembleBundle)
    return bundle


def tiny_classifier(folder: Path, name: str = "teller", **changes: Any) -> ModelBundle:
    tree = ImageClassifierConfig(
        num_classes=2, trunk=ClassifierTrunkConfig(name="test_resnet"), image_size=(64, 64)
    )
    card = tiny_card(**({"name": name, "architecture": tree} | changes))
    return save_bundle(folder / name, card, build_network(tree).state_dict())


def test_an_ensemble_is_a_model_in_the_list(pair: EnsembleBundle, models: Path) -> None:
    assert pair.path == models / "pair"
    found = find_bundle("pair")
    assert isinstance(found, EnsembleBundle)
    assert found.card == pair.card
    assert {"one", "two", "pair"} <= {bundle.card.name for bundle in list_bundles()}
    assert sorted(str(p.relative_to(pair.path)) for p in pair.path.rglob("*") if p.is_file()) == [
        "members/one/weights.safetensors", "members/two/weights.safetensors", "model.json",
    ]  # fmt: skip
    assert why_unusable(found) is None
    assert found.verify() == sum(find_single(name).verify() for name in ("one", "two"))
    for name in ("one", "two"):
        ours = pair.member(name).load_network().state_dict()
        theirs = find_single(name).load_network().state_dict()
        assert all(np.array_equal(ours[key], theirs[key]) for key in theirs)


def test_what_the_card_says(pair: EnsembleBundle) -> None:
    card = pair.card
    assert json.loads((pair.path / "model.json").read_text())["kind"] == "ensemble"
    assert card.category_names == ["big", "small"]
    assert card.licence == "CC BY-NC 4.0 (the strictest, of two; one: MIT)"
    assert card.citation == "A B"
    assert card.cell_diameter == 10.0
    # The mean; sizes of the second are halved along each axis to the scale of the first.
    assert card.thresholds["big"] == Thresholds(score=0.2, mask=0.3, nms=0.65, min_size=5)
    (one,) = card.passes_of("best")
    assert one.member_names == ["one", "two"]
    assert one.views == ("identity", "horizontal", "vertical", "both")
    assert card.members[0].cost == 1
    assert card.members[1].cost == pytest.approx(1, rel=0.05)
    for preset, views in (("fast", 1), ("balanced", 2)):
        (alone,) = card.passes_of(preset)
        assert (alone.member_names, len(alone.views)) == (["one"], views)
        assert alone.thresholds["big"] == card.lead.thresholds["big"]


def test_options(two: list[str], models: Path) -> None:
    tiny_classifier(models)
    options = EnsembleOptions(
        fusion=WeightedBoxes(iou=0.4), weights=(1, 3), views=("identity",), classifier="teller"
    )
    card = combine(two, "pair", options).card
    (one,) = card.passes
    assert one.fusion == WeightedBoxes(iou=0.4)
    assert [member.weight for member in one.members] == [1, 3]
    assert one.views == ("identity",)
    assert card.cell_type.by == "classifier"
    assert card.cell_type.member == "teller"
    assert card.lead.name == "one"
    with pytest.raises(UserError, match="3 weights for 2 members"):
        combine(two, "other", EnsembleOptions(weights=(1, 2, 3)))
    with pytest.raises(UserError, match="there is no view 'sideways'"):
        combine(two, "other", EnsembleOptions(views=("sideways",)))
    with pytest.raises(UserError, match="greater than 0"):
        combine(two, "other", EnsembleOptions(weights=(1, 0)))
    with pytest.raises(UserError, match="one finds objects and is no classifier"):
        combine(two, "other", EnsembleOptions(classifier="one"))


def test_one_category_per_image_is_told_by_the_majority(models: Path) -> None:
    save_tiny_bundle(models / "one", name="one", one_category_per_image=True)
    card = combine(["one"], "alone").card
    assert card.cell_type.by == "majority"
    assert card.description.startswith("1 model looks at each image, and all finds become one (")


def test_members_that_do_not_fit(two: list[str], models: Path, pair: EnsembleBundle) -> None:
    save_tiny_bundle(
        models / "cells",
        name="cells",
        categories=(CategoryCard(name="cell", colour="#e69f00"),),
        architecture=tiny_architecture(1),
        thresholds={},
    )
    tiny_classifier(models)
    for names, words in (
        ([], "needs members"),
        (["one", "nobody"], "no model 'nobody'"),
        (["one", "one"], "one is named twice"),
        (["one", "cells"], "cells knows cell, but one has big, small"),
        (["one", "teller"], "teller tells which cell type .* give it as the classifier"),
        (["one", "pair"], r"pair is an ensemble itself; name .* \(one, two\)"),
    ):
        with pytest.raises(UserError, match=words):
            combine(names, "new")
    with pytest.raises(UserError, match="there is a model called one already"):
        combine(two, "one")
    (models / "two" / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"two do not match its card"):
        combine(two, "new")
    assert not (models / "new").exists()
    assert not [path for path in models.iterdir() if path.name.startswith(".")]


def test_cancel_leaves_nothing(two: list[str], models: Path) -> None:
    class Impatient(Monitor):
        def progress(self, stage: str, fraction: float) -> None:
            if stage.startswith("copying"):
                raise Cancelled

    with pytest.raises(Cancelled):
        combine(two, "pair", monitor=Impatient())
    assert {path.name for path in models.iterdir()} == {"one", "two"}


def test_there_and_back_as_one_zip(pair: EnsembleBundle, tmp_path: Path) -> None:
    path = export_bundle(pair, tmp_path / "pair.zip")
    opened = open_bundle(path)
    assert isinstance(opened, EnsembleBundle)
    assert opened.verify() == pair.verify()
    assert opened.member("two").load_network() is not None
    remove_bundle("pair")
    back = import_bundle_zip(path)
    assert back.path == pair.path
    assert back.card == pair.card
    again = import_bundle_zip(path, name="again")
    assert isinstance(again, EnsembleBundle)
    assert again.card.sha256 == pair.card.sha256
    assert again.verify() == pair.verify()


def changed(path: Path, leave_out: str = "", **add: bytes) -> Path:
    target = path.with_name(f"{len(list(path.parent.iterdir()))}.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            if info.filename != leave_out:
                new.writestr(info, old.read(info))
        for name, data in add.items():
            new.writestr(name.replace("__", "/") + ".safetensors", data)
    return target


def test_zips_that_are_not_whole(pair: EnsembleBundle, tmp_path: Path, models: Path) -> None:
    path = export_bundle(pair, tmp_path / "pair.zip")
    remove_bundle("pair")
    place = "members/two/weights.safetensors"
    for wrong, words in (
        (changed(path, place), "members/two/weights.safetensors is missing"),
        (changed(path, place, members__two__weights=b"x"), r"\(two\) do not match its card"),
    ):
        with pytest.raises(UserError, match=words):
            import_bundle_zip(wrong)
    with pytest.raises(UserError, match=r"three.*of which its card says nothing"):
        import_bundle_zip(changed(path, members__three__weights=b"x"))
    with pytest.raises(UserError, match="no part of a model"):
        import_bundle_zip(changed(path, members__two__more__weights=b"x"))
    assert not (models / "pair").exists()


def test_rename_and_remove(pair: EnsembleBundle) -> None:
    size = bundle_bytes(pair.path)
    bundle = rename_bundle("pair", "duo")
    assert bundle.path.name == "duo"
    assert bundle.verify() == pair.card.members[0].cost * find_bundle("duo").verify()
    assert remove_bundle("duo") == pytest.approx(size, abs=10)
    assert "duo" not in {bundle.card.name for bundle in list_bundles()}


def test_damage_is_told_with_the_member(pair: EnsembleBundle) -> None:
    (pair.path / "members/two/weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"\(two\) do not match its card"):
        pair.verify()
    shutil.rmtree(pair.path / "members" / "two")
    reason = why_unusable(pair)
    assert reason is not None
    assert "has no weights" in reason
    (pair.path / "model.json").write_text('{"kind": "ensemble", "name": "pair"}')
    assert any("cannot be read" in broken.reason for broken in scan_bundles()[1])


def test_where_a_single_model_is_needed(pair: EnsembleBundle) -> None:
    with pytest.raises(UserError, match=r"pair is an ensemble, .* \(one, two\)"):
        find_single("pair")
    with pytest.raises(UserError, match="is an ensemble"):
        ModelBundle.open(pair.path)


def test_the_second_level_travels_along(pair: EnsembleBundle, tmp_path: Path) -> None:
    data = b"trees"
    card = pair.card.with_changes(rescorer={"sha256": hashlib.sha256(data).hexdigest()})
    (pair.path / "model.json").write_text(card.model_dump_json())
    with_it = open_bundle(pair.path)
    assert isinstance(with_it, EnsembleBundle)
    with pytest.raises(UserError, match=r"no readable rescorer\.cbm"):
        with_it.verify()
    (pair.path / "rescorer.cbm").write_bytes(data)
    path = export_bundle(with_it, tmp_path / "pair.zip")
    back = import_bundle_zip(path, name="back")
    assert isinstance(back, EnsembleBundle)
    assert back.read_rescorer() == data
    assert back.card.preset("best").rescore is False  # as the card says
    (back.path / "rescorer.cbm").write_bytes(b"other")
    with pytest.raises(UserError, match=r"rescorer\.cbm .* does not match"):
        back.verify()


def test_old_cards_stay_as_they_are(two: list[str], models: Path) -> None:
    assert "kind" not in json.loads((models / "one" / "model.json").read_text())
    assert isinstance(find_bundle("one"), ModelBundle)


def test_passes_and_presets() -> None:
    card = ensemble_of(
        member_card("a"),
        member_card("b"),
        passes=(
            one_pass("a", "b"),
            one_pass("b", cell_types=(BRIGHT,), thresholds={DIM: Thresholds(score=0.9)}),
        ),
        cell_type={"by": "majority"},
        presets={"balanced": PresetCard(members=("a", "b"), views=("identity", "rot90@1.5"))},
    )
    general, special = card.passes_of("best")
    assert responsible(card.passes_of("best"), DIM) == general
    assert responsible(card.passes_of("best"), BRIGHT) == special
    assert responsible(card.passes_of("best"), None) == general
    assert special.thresholds[DIM].score == 0.9
    assert special.thresholds[BRIGHT] == card.thresholds[BRIGHT]
    (balanced,) = card.passes_of("balanced")
    assert balanced.views == ("identity", "rot90@1.5")
    assert EnsembleCard.model_validate_json(card.model_dump_json()) == card
    assert card.with_changes(name="other").sha256 == card.sha256
    assert card.with_changes(passes=(general,)).sha256 != card.sha256


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"passes": (one_pass("a", "c"),)}, "no member c; members: a, b"),
        ({"passes": ()}, "at least 1 item"),
        ({"members": ()}, "at least 1 item"),
        ({"passes": (one_pass("a"), one_pass("b"))}, "only one pass can be for all images"),
        (
            {"passes": tuple(one_pass("a", cell_types=(DIM,)) for _ in "ab")},
            "two passes are for dim",
        ),
        ({"passes": (one_pass("a", cell_types=("cat",)),)}, "unknown cell type cat"),
        (
            {"passes": (one_pass("a", cell_types=(DIM,)),), "cell_type": {"by": "majority"}},
            "decided by majority need a pass that is for all images",
        ),
        (
            {
                "passes": (one_pass("a", cell_types=(DIM,)),),
                "cell_type": {"by": "classifier", "member": "teller"},
                "members": tuple(
                    {"card": card}
                    for card in (member_card("a"), member_card("b"), classifier_card("teller"))
                ),
            },
            "no pass is for images of bright",
        ),
        (
            {"passes": (one_pass("a"), one_pass("b", cell_types=(DIM,)))},
            "need a rule that decides",
        ),
        ({"cell_type": {"by": "classifier", "member": "a"}}, "a, which is no classifier"),
        ({"cell_type": {"by": "fixed", "category": "cat"}}, "fixed cell type cat"),
        ({"presets": {"fast": {"members": ("c",)}}}, "no member c"),
        ({"thresholds": {"cat": Thresholds()}}, "unknown categories: cat"),
        ({"presets": {"fast": {"thresholds": {"cat": Thresholds()}}}}, "unknown categories: cat"),
        ({"surprise": 1}, "Extra inputs"),
    ],
)
def test_faults_of_a_card(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ensemble_of(member_card("a"), member_card("b"), **changes)


def test_members_twice_or_of_other_categories() -> None:
    with pytest.raises(ValidationError, match="two members have the same name"):
        ensemble_of(member_card("a"), member_card("a"), passes=(one_pass("a"),))
    other = member_card("b", categories=categories(DIM, "cat"), thresholds={})
    with pytest.raises(ValidationError, match="b knows dim, cat, but the ensemble together has"):
        ensemble_of(member_card("a"), other)
    with pytest.raises(ValidationError, match="finds no objects, so it cannot take part"):
        ensemble_of(member_card("a"), classifier_card("t"), passes=(one_pass("a", "t"),))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"normalisation": Normalisation()}, "normalise grey levels in different ways"),
        ({"categories": categories(BRIGHT, DIM)}, "categories in different orders"),
        ({"normalisation": Normalisation(method="fixed", mean=9.0, std=2.0)}, ""),
        ({"cell_diameter": 50.0}, ""),
    ],
)
def test_what_can_be_joined_stage_by_stage(changes: dict[str, Any], words: str) -> None:
    stages = one_pass("a", "b", fusion=StageMeansConfig())
    cards = member_card("a"), member_card("b", **changes)
    if not words:
        assert ensemble_of(*cards, passes=(stages,)).passes[0].is_stage_by_stage
        return
    with pytest.raises(ValidationError, match=f"a and b .*{words}.* strategy that fuses finished"):
        ensemble_of(*cards, passes=(stages,))


def test_views_of_networks_that_are_joined() -> None:
    with pytest.raises(ValidationError, match="identity must be one of the views"):
        one_pass("a", "b", fusion=StageMeansConfig(), views=("vertical",))


@pytest.mark.parametrize(
    ("licences", "strictest"),
    [
        (["MIT", "CC0-1.0"], "MIT"),
        (["CC BY 4.0", "CC BY-SA 3.0"], "CC BY-SA 3.0"),
        (["CC BY-SA 3.0", "CC BY-NC 4.0"], "CC BY-NC 4.0"),
        (["Apache-2.0", "Research, non-commercial"], "Research, non-commercial"),
        (["BSD-3-Clause", "ask me"], "ask me"),
    ],
)
def test_the_strictest_licence_counts(licences: list[str], strictest: str) -> None:
    for order in (licences, licences[::-1]):
        text = combined_licence([(f"m{n}", licence) for n, licence in enumerate(order)])
        assert text.startswith(strictest)
        assert all(licence in text for licence in licences)
    assert combined_licence([("a", "MIT"), ("b", "MIT")]) == "MIT"
