"""The catalogue says what publishers say, and nothing more."""

from __future__ import annotations

from collections import Counter

import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.zoo.published import (
    find_published,
    published_model,
    published_models,
    why_not,
)


def test_all_publishers_are_there() -> None:
    counts = Counter(model.publisher for model in published_models())
    assert counts == {"LIVECell": 18, "CenterMask2": 11, "detectron2": 6, "torchvision": 2}


def test_names_and_addresses_are_unique_and_secure() -> None:
    models = published_models()
    assert len({model.name for model in models}) == len(models)
    urls = [url for model in models for url in model.urls]
    assert len(set(urls)) == len(urls)
    assert all(url.startswith("https://") for url in urls)
    assert all(model.file_name.endswith((".pth", ".pkl")) for model in models)


def test_livecell_has_the_published_figures() -> None:
    model = find_published("livecell-anchor-based-shsy5y")
    assert model.metrics == {"mask AP": 24.92, "box AP": 27.87}
    assert model.figures_text == "mask AP 24.9, box AP 27.9"
    assert model.file_name == "LIVECell_anchor_based_shsy5y_model.pth"
    assert model.config_url is not None
    assert model.config_url.endswith("/anchor_based/shsy5y_config.yaml")
    best = max(published_models(), key=lambda one: one.metrics["mask AP"])
    assert best.name == "livecell-anchor-free-skbr3"


def test_what_is_not_published_is_said_and_not_guessed() -> None:
    model = find_published("livecell-anchor-free")
    assert model.megabytes is None
    assert model.checksum is None
    assert model.size_text.startswith("not published (all eighteen files")
    assert find_published("torchvision-maskrcnn-r50").size_text == "178 MB"


def test_checksums_stand_in_the_names_of_the_files() -> None:
    for model in published_models():
        if model.checksum is not None:
            assert model.checksum.split(":")[1] in model.file_name


def test_not_open_are_exactly_the_non_commercial_ones() -> None:
    for model in published_models():
        assert model.licence.open == ("NC" not in model.licence.name)


def test_settings_of_one_network_differ_from_its_siblings_where_the_network_does() -> None:
    bodies = {
        model.name: model.settings["MODEL"]["VOVNET"]["CONV_BODY"]
        for model in published_models()
        if model.program == "CenterMask" and model.not_importable is None
    }
    assert bodies["centermask2-lite-v19-slim"] == "V-19-slim-eSE"
    assert bodies["centermask2-v57"] == "V-57-eSE"
    assert bodies["livecell-anchor-free-bv2"] == "V-99-eSE"
    lite = find_published("centermask2-lite-v39").settings["MODEL"]
    assert lite["FPN"]["OUT_CHANNELS"] == 128
    assert lite["PROPOSAL_GENERATOR"] == {"NAME": "FCOS"}


def test_coco_has_its_eighty_names() -> None:
    names = find_published("detectron2-maskrcnn-r50").categories
    assert names is not None
    assert len(set(names)) == 80
    assert (names[0], names[-1]) == ("person", "toothbrush")


def test_a_misspelt_name_gets_a_suggestion() -> None:
    assert published_model("livecell-anchor-fre") is None
    with pytest.raises(UserError, match="did you mean livecell-anchor-free or"):
        find_published("livecell-anchor-fre")
    with pytest.raises(UserError, match="models list --all"):
        find_published("qqq")


def test_what_cannot_be_used_is_one_sentence() -> None:
    assert why_not(find_published("detectron2-maskrcnn-r50")) is None
    assert why_not(find_published("detectron2-cascade-r50")) is None
    reason = why_not(find_published("centermask2-v39-dcn"))
    assert reason is not None
    assert "deformable" in reason
    strange = find_published("detectron2-maskrcnn-r50").model_copy(
        update={"program": "a program of tomorrow"}
    )
    assert "does not import checkpoints of a program of tomorrow" in str(why_not(strange))
    other = find_published("detectron2-maskrcnn-r50").model_copy(
        update={"settings": {"MODEL": {"META_ARCHITECTURE": "PanopticFPN"}}}
    )
    assert "does not have such a network" in str(why_not(other))
