"""Views are exact inverses, and fusing them averages what it says."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.found import Found
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.paste import paste
from napari_sartorius.core.views import Flip, View
from napari_sartorius.ensemble.mean_of_views import fuse_views
from napari_sartorius.inference.views import look, look_back, views_of

if TYPE_CHECKING:
    from pathlib import Path


def _found(boxes: Any, scores: Any, labels: Any, masks: Any) -> Found:
    return Found(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(labels, np.int64),
        np.array(masks, np.float32),
    )


@pytest.mark.parametrize("flip", get_args(Flip))
def test_looking_back_is_the_exact_inverse(flip: Flip, disc_detector: Any, discs: Any) -> None:
    view, size = View(flip), (60, 90)
    image = discs(size, np.array([(20, 30), (41, 70), (50, 12)]), np.array([8.0, 9.0, 5.0]))
    image[20, 30:60] = 1  # makes the scene unlike its mirror images
    seen = np.ascontiguousarray(look(image[..., None], view))
    assert seen.shape[:2] == view.seen_size(size)
    raw = disc_detector().detect(torch.from_numpy(seen.transpose(2, 0, 1))[None])[0]
    found = look_back(raw.on_host(), view, size)
    masks = paste(found.mask_probs, found.boxes, size)
    np.testing.assert_array_equal(masks.to_labels() > 0, image > 0.5)


@pytest.mark.parametrize("name", ["identity@2", "horizontal@2", "rot90@2", "anti_transpose@0.5"])
def test_a_scaled_view_gives_places_in_the_image(name: str, disc_detector: Any, discs: Any) -> None:
    view, size = View.parse(name), (64, 96)
    image = discs(size, np.array([(20, 30), (41, 70)]), np.array([12.0, 14.0]))
    seen = np.ascontiguousarray(look(image[..., None], view))
    assert seen.shape[:2] == view.seen_size(size)
    raw = disc_detector().detect(torch.from_numpy(seen.transpose(2, 0, 1))[None])[0]
    found = look_back(raw.on_host(), view, size)
    drawn = paste(found.mask_probs, found.boxes, size).to_labels() > 0
    assert (drawn & (image > 0.5)).sum() > 0.92 * (drawn | (image > 0.5)).sum()


@pytest.mark.parametrize("name", ["none", "hflip", "vflip", "rot180"])
def test_looking_back_is_the_reference_inverse(name: str, shared_golden: Path) -> None:
    """The original's half turn shifts masks by a pixel; ours is the turn that its boxes make."""
    folder = shared_golden / "fusion" / "9_tta_inverse" / "4810ddb4229c"
    views = json.loads((folder / "mistag_tta.json").read_text())["views"]
    case = next(one for one in views if one["view"] == name)
    flips = {"none": "identity", "hflip": "horizontal", "vflip": "vertical", "rot180": "both"}
    size = (520, 704)
    masks = CropMasks.from_rle(case["masks_view_frame_input"], size)
    full = np.stack([masks.full(i) for i in range(len(masks))])
    boxes = case["boxes_px_view_frame_input"]
    none = np.zeros(len(boxes))
    back = look_back(_found(boxes, none, none, full), View.parse(flips[name]), size)
    expected = np.array(case["boxes_norm_back"]) * [704, 520, 704, 520]
    np.testing.assert_allclose(back.boxes, expected, atol=1e-4)
    truth = CropMasks.from_rle(case["masks_back"], size)
    theirs = np.stack([truth.full(i) for i in range(len(truth))])
    ours = back.mask_probs > 0.5
    if name == "rot180":
        ours, theirs = ours[:, :-1, :-1], theirs[:, 1:, 1:]
    np.testing.assert_array_equal(ours, theirs)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 12))
def test_equal_views_change_nothing(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    low = generator.uniform(0, 50, (count, 2))
    boxes = np.concatenate([low, low + generator.uniform(3, 20, (count, 2))], 1)
    scores = np.sort(generator.uniform(0.1, 1, count))[::-1]
    labels = generator.integers(0, 3, count)
    view = _found(boxes, scores, labels, generator.random((count, 7, 7)))
    fused, agreement = fuse_views([view, view, view])
    assert (agreement == 1).all()
    np.testing.assert_allclose(fused.boxes, view.boxes, atol=1e-4)
    np.testing.assert_allclose(fused.scores, view.scores, atol=1e-6)
    np.testing.assert_allclose(fused.mask_probs, view.mask_probs, atol=1e-4)
    np.testing.assert_array_equal(fused.labels, view.labels)


def test_a_missing_view_counts_zero() -> None:
    one = _found([[0, 0, 10, 10], [40, 40, 50, 50]], [0.8, 0.6], [0, 0], np.ones((2, 4, 4)))
    two = _found([[0, 0, 10, 12]], [0.4], [0], np.zeros((1, 4, 4)))
    fused, agreement = fuse_views([one, two])
    np.testing.assert_allclose(fused.scores, [0.6, 0.3])
    np.testing.assert_allclose(agreement, [1, 0.5])
    # Score-weighted mean: two thirds of the first, one third of the second.
    np.testing.assert_allclose(fused.boxes[0], [0, 0, 10, 10 + 2 / 3], atol=1e-5)
    np.testing.assert_allclose(fused.mask_probs[0, 0], 2 / 3, atol=1e-5)


def test_categories_and_distant_boxes_stay_apart() -> None:
    one = _found([[0, 0, 10, 10], [0, 0, 10, 10]], [0.8, 0.7], [0, 1], np.ones((2, 4, 4)))
    two = _found([[6, 0, 16, 10]], [0.4], [0], np.ones((1, 4, 4)))
    fused, _ = fuse_views([one, two])
    assert fused.labels.tolist() == [0, 1, 0]


def test_a_view_gives_at_most_one_member() -> None:
    one = _found([[0, 0, 10, 10]], [0.9], [0], np.ones((1, 4, 4)))
    two = _found([[0, 0, 10, 9], [0, 0, 10, 8]], [0.8, 0.7], [0, 0], np.ones((2, 4, 4)))
    fused, _ = fuse_views([one, two])
    np.testing.assert_allclose(fused.scores, [0.85, 0.35])


def test_empty_views() -> None:
    nothing = _found(np.zeros((0, 4)), [], [], np.zeros((0, 4, 4)))
    fused, agreement = fuse_views([nothing, nothing])
    assert len(fused) == 0
    assert len(agreement) == 0


def test_the_card_decides_the_views() -> None:
    card = cast("Any", SimpleNamespace(name="m", views={"fast": ("vertical",)}))
    assert views_of(card, "fast") == (View("vertical"),)
    assert views_of(card, "balanced") == (View("identity"), View("horizontal"))
    card.views["balanced"] = ("rot90@1.5", "identity")
    assert views_of(card, "balanced") == (View("rot90", 1.5), View())


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("sideways",), "no view 'sideways'"),
        (("both@0",), "above 0"),
        (("both@x",), "above 0"),
        (("both", "both@1.0"), "named twice"),
    ],
)
def test_a_card_with_wrong_views_is_told_so(names: tuple[str, ...], words: str) -> None:
    card = cast("Any", SimpleNamespace(name="m", views={"best": names}))
    with pytest.raises(UserError, match=words):
        views_of(card, "best")
