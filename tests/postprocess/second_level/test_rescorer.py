"""The regressor against recorded predictions; its file; what is done with what it says."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sartorius.core.errors import MissingPackage, UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.postprocess.second_level.rescorer import (
    FitSettings,
    Rescorer,
    fit_rescorer,
)
from napari_sartorius.postprocess.second_level.rescoring import rescore
from napari_sartorius.postprocess.second_level.selection import select_features
from t4e_golden import joined

if TYPE_CHECKING:
    from pathlib import Path

QUICK = FitSettings(trees=20, learning_rate=0.3)


@pytest.fixture(scope="module")
def folder(shared_golden: Path) -> Path:
    return shared_golden / "fusion" / "5_t4e"


@pytest.fixture(scope="module")
def recorded(folder: Path) -> Any:
    return json.loads((folder / "catboost.json").read_text())


def test_the_selection_leaves_the_published_features(folder: Path, recorded: Any) -> None:
    table, _ = joined(folder, recorded["train_images"])
    published = json.loads((folder / "selected_features_130.json").read_text())
    assert list(select_features(table)) == published


def test_predictions(folder: Path, recorded: Any) -> None:
    table, target = joined(folder, recorded["train_images"])
    rescorer = fit_rescorer(table, target)
    for part in ("train", "valid"):
        features, true = joined(folder, recorded[f"{part}_images"])
        expected = np.array([row["pred_iou"] for row in recorded[part]])
        np.testing.assert_allclose(true, [row["true_max_iou"] for row in recorded[part]])
        # Here no prediction leaves 0 to 1.
        np.testing.assert_allclose(
            rescorer.predict(features), expected.clip(0, 1), atol=1e-3, rtol=0
        )


def learnt() -> tuple[Rescorer, dict[str, Any]]:
    random = np.random.default_rng(0)
    table = {"good": random.random(200), "noise": random.random(200), "flat": np.zeros(200)}
    table["gaps"] = np.where(random.random(200) < 0.4, np.nan, table["good"])
    return fit_rescorer(table, table["good"], QUICK, facts={"images": 3}), table


def test_features_that_say_nothing_are_left_out() -> None:
    rescorer, table = learnt()
    assert rescorer.features == ("good", "noise")
    assert np.abs(rescorer.predict(table) - table["good"]).mean() < 0.05
    assert rescorer.importance()["good"] > 90


def test_the_file_holds_all_that_must_be_known() -> None:
    rescorer, table = learnt()
    again = Rescorer.from_bytes(rescorer.to_bytes())
    assert again.features == rescorer.features and again.facts == {"images": 3}
    np.testing.assert_array_equal(again.predict(table), rescorer.predict(table))
    # An unknown feature is one that nobody knows, and there may be no objects.
    assert len(again.predict({"noise": table["noise"]})) == 200
    assert len(again.predict({"good": np.zeros(0), "noise": np.zeros(0)})) == 0


def test_files_that_are_no_rescorer() -> None:
    data = learnt()[0].to_bytes()
    for wrong in (b"", b"hello", data[: len(data) // 2]):
        with pytest.raises(UserError, match="made by napari-sartorius"):
            Rescorer.from_bytes(wrong)
    import catboost

    foreign = catboost.CatBoostRegressor(n_estimators=1, verbose=False, allow_writing_files=False)
    foreign.fit(np.arange(8.0)[:, None], np.arange(8.0))
    with pytest.raises(UserError, match="made by napari-sartorius"):
        Rescorer.from_bytes(
            Rescorer((), foreign).to_bytes().replace(b"napari_sart", b"someone_els")
        )


def test_a_newer_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_sartorius.postprocess.second_level import rescorer

    monkeypatch.setattr(rescorer, "FORMAT_VERSION", 2)
    data = learnt()[0].to_bytes()
    monkeypatch.setattr(rescorer, "FORMAT_VERSION", 1)
    with pytest.raises(UserError, match="newer version"):
        Rescorer.from_bytes(data)


@pytest.mark.parametrize("target", [[], [0.5], [0.5, 0.5, 0.5]])
def test_nothing_to_learn_from(target: list[float]) -> None:
    table = {"good": np.arange(len(target), dtype=float)}
    with pytest.raises(UserError, match="nothing to teach"):
        fit_rescorer(table, np.array(target))


def test_missing_catboost_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    data = learnt()[0].to_bytes()
    monkeypatch.setitem(sys.modules, "catboost", None)
    with pytest.raises(MissingPackage, match=r"napari-sartorius\[all\]"):
        Rescorer.from_bytes(data)
    with pytest.raises(MissingPackage):
        Rescorer.check_available()


def test_dropping_and_ranking() -> None:
    masks = CropMasks.from_full(np.ones((3, 2, 2), np.bool_))
    objects = Instances.from_masks(masks, [0.9, 0.8, 0.7], [0, 1, 1])
    objects.columns["mask_prob_min"] = np.zeros(3)
    predicted = np.array([0.2, 0.3, 0.8])
    kept = rescore(objects, predicted)
    np.testing.assert_allclose(kept.columns["predicted_iou"], [0.3, 0.8], rtol=1e-6)
    assert kept.scores.tolist() == np.float32([0.8, 0.7]).tolist()
    assert "mask_prob_min" not in kept.columns and "mask_prob_min" in objects.columns
    assert len(rescore(objects, predicted, [0.1, 0.5])) == 2
    by_iou = rescore(objects, predicted, 0.0, "predicted_iou")
    np.testing.assert_allclose(by_iou.scores, predicted, rtol=1e-6)
    product = rescore(objects, predicted, 0.0, "product")
    np.testing.assert_allclose(product.scores, [0.18, 0.24, 0.56], rtol=1e-6)
