"""What holds for every strategy."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fusion_looks import canvas, disc, found, jittered
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.mask_confidence import NAMES as CONFIDENCE
from napari_sartorius.ensemble.config import FusionConfig, build, read_fusion
from napari_sartorius.ensemble.looks import COLUMNS, Look

if TYPE_CHECKING:
    from napari_sartorius.core.instances import Instances

NAMES = [kind().strategy for kind in get_args(get_args(FusionConfig)[0])]
every_strategy = pytest.mark.parametrize("name", NAMES)


def _fuse(name: str, looks: list[Look], **others: Any) -> Instances:
    return build(read_fusion({"strategy": name}))(looks, canvas(**others))


def _assert_empty(objects: Instances) -> None:
    assert len(objects) == 0
    assert set(COLUMNS) <= set(objects.columns)


def test_all_are_there() -> None:
    assert NAMES == [
        "mean_of_looks",
        "weighted_boxes",
        "weighted_segments",
        "weighted_masks",
        "mask_clusters",
    ]


@every_strategy
def test_nothing_was_found(name: str) -> None:
    _assert_empty(_fuse(name, []))
    nothing = Look(found([], []))
    _assert_empty(_fuse(name, [nothing]))
    _assert_empty(_fuse(name, [nothing, replace(nothing, model=1)]))


@every_strategy
def test_a_single_look_is_given_back(name: str) -> None:
    look = jittered(40, 1)[0]
    objects = _fuse(name, [look])
    order = np.argsort(-look.found.scores)
    np.testing.assert_allclose(objects.scores, look.found.scores[order], rtol=1e-6)
    np.testing.assert_array_equal(objects.categories, look.found.labels[order])
    drawn = canvas().draw(look.found[order])
    assert (objects.masks.iou(drawn).diagonal() > 0.95).all()
    for column in ("members", "votes", "agreement", "mask_agreement"):
        assert (objects.columns[column] == 1).all()
    assert (objects.columns["score_spread"] == 0).all()


@every_strategy
@settings(max_examples=10)
@given(seed=st.integers(0, 1000), copies=st.integers(2, 5))
def test_equal_looks_agree(name: str, seed: int, copies: int) -> None:
    look = jittered(20, 1, seed)[0]
    one = _fuse(name, [look])
    objects = _fuse(name, [replace(look, model=k // 2, view=k % 2) for k in range(copies)])
    assert (objects.columns["agreement"] == 1).all()
    np.testing.assert_allclose(objects.columns["mask_agreement"], 1, atol=1e-6)
    np.testing.assert_allclose(objects.columns["score_spread"], 0, atol=1e-6)
    assert (objects.columns["members"] == (copies + 1) // 2).all()
    np.testing.assert_allclose(objects.scores, one.scores, rtol=1e-5)
    np.testing.assert_allclose(objects.boxes, one.boxes, atol=1e-3)
    # A pixel that is exactly at the threshold may fall either way where masks are averaged.
    assert (objects.masks.iou(one.masks).diagonal() > 0.95).all()


@every_strategy
@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_neither_the_order_of_looks_nor_of_objects_matters(name: str, seed: int) -> None:
    looks = jittered(20, 4, seed)
    generator = np.random.default_rng(seed)
    shuffled = [
        replace(looks[k], found=looks[k].found[generator.permutation(len(looks[k].found))])
        for k in generator.permutation(4)
    ]
    one, two = _fuse(name, looks), _fuse(name, shuffled)
    np.testing.assert_allclose(one.scores, two.scores, rtol=1e-5)
    np.testing.assert_allclose(one.boxes, two.boxes, atol=1e-3)
    np.testing.assert_array_equal(one.categories, two.categories)
    for column in COLUMNS:
        np.testing.assert_allclose(one.columns[column], two.columns[column], atol=1e-6)


@every_strategy
def test_only_wanted_objects_are_given(name: str) -> None:
    looks = jittered(40, 4)
    everything = _fuse(name, looks)
    wanted = _fuse(name, looks, keep=lambda scores, labels: (scores > 0.5) & (labels > 0))
    expected = everything[(everything.scores > 0.5) & (everything.categories > 0)]
    assert 0 < len(wanted) < len(everything)
    np.testing.assert_array_equal(wanted.scores, expected.scores)
    np.testing.assert_array_equal(wanted.boxes, expected.boxes)
    assert wanted.masks.to_rle() == expected.masks.to_rle()


@every_strategy
def test_what_a_look_misses_lowers_score_and_agreement(name: str) -> None:
    seen = found([[10, 10, 30, 30]], [0.8])
    objects = _fuse(name, [Look(seen), Look(found([], []), model=1), Look(seen, model=2)])
    assert objects.columns["votes"].tolist() == [2]
    assert objects.columns["members"].tolist() == [2]
    np.testing.assert_allclose(objects.columns["agreement"], [2 / 3])
    np.testing.assert_allclose(objects.scores, [1.6 / 3], rtol=1e-5)


@every_strategy
def test_what_networks_know_besides_is_averaged(name: str) -> None:
    one, two = found([[10, 10, 30, 30]], [0.6]), found([[10, 10, 30, 30]], [0.3])
    one.columns["mask_score"] = np.array([0.9], np.float32)
    two.columns["mask_score"] = np.array([0.3], np.float32)
    two.columns["depth"] = np.array([1], np.float32)
    objects = _fuse(name, [Look(one), Look(two, model=1)])
    np.testing.assert_allclose(objects.columns["mask_score"], [0.7], rtol=1e-5)
    assert "depth" not in objects.columns


@every_strategy
def test_masks_of_different_grids(name: str) -> None:
    coarse = found([[10, 10, 30, 30]], [0.8], masks=disc(14)[None])
    fine = found([[10, 10, 30, 30]], [0.7], masks=disc(56)[None])
    objects = _fuse(name, [Look(coarse), Look(fine, model=1)])
    assert len(objects) == 1
    alone = canvas().draw(fine)
    assert objects.masks.iou(alone)[0, 0] > 0.9


@every_strategy
def test_specks_and_boxes_without_area(name: str) -> None:
    speck = found([[5, 5, 6, 6], [8, 8, 8, 12]], [0.8, 0.7], masks=np.ones((2, 4, 4)))
    objects = _fuse(name, [Look(speck), Look(speck, model=1)])
    drawn = objects[objects.masks.area() > 0]
    assert drawn.masks.bounding_boxes().tolist() == [[5, 5, 6, 6]]
    np.testing.assert_allclose(drawn.scores, [0.8], rtol=1e-6)


@every_strategy
def test_equal_scores_at_one_place(name: str) -> None:
    twice = found([[10, 10, 30, 30]] * 2, [0.5, 0.5], [0, 1])
    objects = _fuse(name, [Look(twice), Look(twice, model=1)])
    agnostic = name in ("weighted_segments", "weighted_masks", "mask_clusters")
    assert objects.categories.tolist() == ([0] if agnostic else [0, 1])
    assert (objects.columns["votes"] == 2).all()


@every_strategy
def test_objects_that_leave_the_image(name: str) -> None:
    outside = found([[-10, -10, 12, 12], [110, 70, 140, 95]], [0.8, 0.7])
    objects = _fuse(name, [Look(outside), Look(outside, model=1)])
    assert len(objects) == 2
    assert (objects.masks.area() > 0).all()


@every_strategy
@pytest.mark.parametrize("broken", ["scores", "boxes"])
def test_numbers_that_are_none(name: str, broken: str) -> None:
    look = jittered(3, 1)[0]
    values = getattr(look.found, broken).copy()
    values[1] = np.nan
    bad = replace(look, model=1, found=replace(look.found, **{broken: values}))
    with pytest.raises(UserError, match="Model 2"):
        _fuse(name, [look, bad])


@every_strategy
def test_weights_above_nothing(name: str) -> None:
    with pytest.raises(ValueError, match="weights"):
        _fuse(name, [replace(jittered(3, 1)[0], weight=0.0)])


def test_weights_of_looks_count() -> None:
    one, two = found([[10, 10, 30, 30]], [0.5]), found([[10, 10, 30, 34]], [0.5])
    objects = _fuse("mean_of_looks", [Look(one, weight=3), Look(two, model=1)])
    np.testing.assert_allclose(objects.boxes, [[10, 10, 30, 31]])
    missed = [Look(one, weight=3), Look(found([], []), model=1)]
    np.testing.assert_allclose(_fuse("mean_of_looks", missed).scores, [0.375])


def test_the_score_may_follow_the_mask() -> None:
    faint = found([[10, 10, 30, 30]], [0.8], masks=np.full((1, 4, 4), 0.75))
    rescored = build(read_fusion({"strategy": "weighted_boxes", "rescore": True}))
    np.testing.assert_allclose(rescored([Look(faint)], canvas()).scores, [0.6])
    nothing = rescored([Look(faint)], canvas(keep=lambda scores, labels: scores > 0.7))
    assert len(nothing) == 0


def test_options_are_read_back_and_unknown_ones_refused() -> None:
    for name in NAMES:
        options = read_fusion({"strategy": name})
        assert read_fusion(options.model_dump(mode="json")) == options
        with pytest.raises(ValidationError):
            read_fusion({"strategy": name, "iuo": 0.5})
        with pytest.raises(ValidationError, match="frozen"):
            options.iou = 0.4
    with pytest.raises(ValidationError, match="strategy"):
        read_fusion({"strategy": "wishful"})


def test_options_need_no_torch() -> None:
    code = "import sys, napari_sartorius.ensemble.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["mean_of_looks", "weighted_boxes"])
def test_averaged_masks_tell_how_sure_they_are(name: str) -> None:
    looks = jittered(20, 4)
    assert not set(CONFIDENCE) & set(_fuse(name, looks).columns)
    objects = _fuse(name, looks, mask_confidence=True)
    values = [objects.columns[column] for column in CONFIDENCE]
    assert all(np.isfinite(column).all() for column in values)
    least, most, mean = (objects.columns[f"mask_prob_{one}"] for one in ("min", "max", "mean"))
    assert (least <= mean).all() and (mean <= most).all() and (most <= 1 + 1e-6).all()
