"""Doubt: what is wrong is found first and named, what is right is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import ValidationError

from napari_sartorius.core.regions import region_table
from napari_sartorius.postprocess.doubt import DoubtConfig, contact_shares, judge
from napari_sartorius.postprocess.usual import Usual
from napari_sartorius.samples.phase_contrast import phase_contrast_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray


def table(count: int = 20, **columns: Any) -> dict[str, NDArray[Any]]:
    """Equal discs of two kinds, 1.2 times as long as wide."""
    usual = {
        "index": np.arange(1, count + 1),
        "category": np.array(["round", "long"] * count, object)[:count],
        "score": np.full(count, 0.8),
        "area": np.full(count, 200.0),
        "solidity": np.full(count, 0.95),
        "major_axis": np.full(count, 18.0),
        "minor_axis": np.full(count, 15.0),
    }
    return usual | {name: np.asarray(values) for name, values in columns.items()}


def with_value(name: str, value: float, count: int = 20) -> dict[str, NDArray[Any]]:
    """A table in which the object of row 4 is unlike the others."""
    columns = table(count)
    column = columns.get(name, np.ones(count)).astype(float)
    column[4] = value
    return columns | {name: column}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("predicted_iou", 0.3, "its outline may not fit (predicted IoU 0.30)"),
        ("agreement", 0.25, "found in 25% of models and views only"),
        ("votes", 0.2, "found in 20% of models and views only"),
        ("mask_agreement", 0.4, "models or views draw it differently (IoU 0.40)"),
        ("score", 0.35, "score 0.35, low for round"),
        ("area", 900.0, "large for round (4.5 times the usual area)"),
        ("area", 40.0, "small for round (0.2 times the usual area)"),
        ("solidity", 0.6, "branched or bent for round"),
        ("major_axis", 60.0, "long for round"),
        ("contact", 0.55, "touches other cells along 55% of its outline"),
    ],
)
def test_one_odd_object_is_found_and_named(name: str, value: float, words: str) -> None:
    columns = with_value(name, value)
    if name == "contact":
        columns["contact"] = np.where(np.arange(20) == 4, value, 0.0)
    found = judge(columns)
    assert np.flatnonzero(found.doubt >= DoubtConfig().limit).tolist() == [4]
    assert found.reasons(4) == [words]
    assert found.reasons(0) == []


def test_hints_add_up_and_the_weightiest_comes_first() -> None:
    one = judge(with_value("agreement", 0.5)).doubt[4]
    both = judge(with_value("agreement", 0.5) | {"predicted_iou": np.linspace(0.5, 0.9, 20)})
    assert both.doubt[4] > one
    assert "predicted IoU" in both.reasons(0)[0]
    assert (both.doubt <= 1).all()


def test_what_is_not_known_is_no_reason() -> None:
    columns = table(agreement=np.full(20, np.nan), predicted_iou=np.full(20, np.nan))
    columns["area"] = np.full(20, np.nan)
    assert judge(columns).doubt.max() == 0
    assert judge({"index": np.arange(3)}).doubt.tolist() == [0, 0, 0]
    assert len(judge({"index": np.zeros(0, int)}).doubt) == 0


def test_kinds_are_judged_by_their_own_and_rare_ones_by_all() -> None:
    columns = table(24)
    columns["area"] = np.where(columns["category"] == "long", 800.0, 200.0)
    assert judge(columns).doubt.max() == 0
    columns["category"][1:16:2] = "rare"  # four of the kind "long" are left, too few
    columns["category"][1] = "single"
    assert judge(columns).doubt[1] == judge(columns | {"category": np.full(24, "")}).doubt[1]


def test_a_cell_that_the_border_cuts_is_not_called_small() -> None:
    columns = with_value("area", 20.0)
    assert judge(columns).doubt[4] > 0.2
    assert judge(columns | {"at_border": np.ones(20, bool)}).doubt[4] == 0


def test_what_is_usual_can_come_from_other_images() -> None:
    usual = Usual.of_many([table(), table()])
    few = with_value("area", 900.0, count=5)
    assert judge(few).doubt[4] == 0  # five objects do not say what is usual
    assert judge(few, usual).doubt[4] > 0.2


def test_a_category_with_few_objects_takes_its_measure_from_elsewhere() -> None:
    few = with_value("area", 900.0, count=5)
    own = Usual.of(few)
    assert own.lacks(few)
    elsewhere = Usual.of_many([table(), table()])
    assert not elsewhere.lacks(few)
    assert judge(few, own.filled(elsewhere)).doubt[4] > 0.2
    assert own.filled(None) is own
    # where there are enough objects, other images have no say
    large = table(area=np.full(20, 900.0))
    usual = Usual.of(large).filled(elsewhere)
    assert judge(large, usual).doubt.max() == 0
    assert Usual.of_many([]).values == {}


def test_contact_is_counted_in_sides_of_pixels() -> None:
    labels = np.zeros((2, 6, 9), np.uint16)
    labels[0, 1:3, 1:3] = 1
    labels[0, 1:3, 3:6] = 2
    labels[1, 0:2, 0:2] = 7  # at the border of another plane
    shares = contact_shares(labels, np.array([1, 2, 5, 7]))
    np.testing.assert_allclose(shares, [2 / 8, 2 / 10, 0, 0])
    assert contact_shares(np.ones((1, 1), int), np.array([1])).tolist() == [0]
    far = np.where(labels > 0, labels.astype(np.uint32) + (1 << 30), 0)
    shares = contact_shares(far, np.array([1, 2, 5, 7]) + (1 << 30))
    np.testing.assert_allclose(shares, [2 / 8, 2 / 10, 0, 0])


def test_damage_on_the_sample_comes_first() -> None:
    """Two cells merged, one cut in half: of all cells these are the most doubtful."""
    _, truth = phase_contrast_scene(seed=3)
    labels = truth.masks.to_labels().astype(np.int64)
    centre = truth.table()["centroid_y"], truth.table()["centroid_x"]
    pair = np.hypot(*(c[:, None] - c[None] for c in centre)) + 1e9 * np.eye(len(truth))
    first, second = (int(i) + 1 for i in np.unravel_index(pair.argmin(), pair.shape))
    labels[labels == second] = first
    from napari_sartorius.core.masks import CropMasks

    masks, ids = CropMasks.from_labels(labels)
    columns: dict[str, Any] = {"index": ids, **region_table(masks)}
    columns["contact"] = contact_shares(labels, ids)
    found = judge(columns)
    assert ids[found.doubt.argmax()] == first
    assert (found.doubt >= DoubtConfig().limit).mean() < 0.25


def test_limits_are_checked() -> None:
    with pytest.raises(ValidationError):
        DoubtConfig(limit=2.0)
    with pytest.raises(ValidationError):
        DoubtConfig(unknown=1)
