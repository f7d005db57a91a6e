"""The competition metric: against published implementations, a naive one, and by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.evaluation.competition import (
    THRESHOLDS,
    CompetitionScore,
    Variant,
    competition_score,
    mean_score,
    pooled_score,
)
from napari_sartorius.evaluation.matching import pairs_above
from napari_sartorius.evaluation.painting import painted, pairs_with_painted

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (520, 704)
IMAGES = [
    "04cd81dfb245",
    "3c270e8e347a",
    "704f269a8415",
    "74a506f1d7e8",
    "47fb5fcff2de",
    "4810ddb4229c",
    "315b21b955c6",
    "7c118cb496f7",
]


def counts(score: CompetitionScore) -> tuple[list[int], list[int], list[int]]:
    return (
        score.true_positives.tolist(),
        score.false_positives.tolist(),
        score.false_negatives.tolist(),
    )


def recorded(entry: dict[str, Any], *, swapped: bool = False) -> tuple[Any, Any, Any]:
    """Counts of a recorded run; one original calls FP what others call FN."""
    return entry["TP"], entry["FN" if swapped else "FP"], entry["FP" if swapped else "FN"]


def load(folder: Path, image: str) -> list[tuple[CropMasks, CropMasks, dict[str, Any]]]:
    truth = json.loads((folder / "inputs" / image / "gt.json").read_text())
    models = json.loads((folder / "inputs" / image / "preds.json").read_text())["models"]
    metric = json.loads((folder / "1_metric" / image / "metric.json").read_text())["models"]
    true_masks = CropMasks.from_rle([a["segmentation"] for a in truth["annotations"]], SIZE)
    return [
        (
            true_masks,
            CropMasks.from_rle([model["detections"][i]["mask"] for i in run["kept_indices"]], SIZE),
            run,
        )
        for model, run in zip(models, metric, strict=True)
    ]


@pytest.mark.parametrize("image", IMAGES)
def test_published_implementations(shared_golden: Path, image: str) -> None:
    for truth, masks, run in load(shared_golden / "fusion", image):
        for key, variant, remove in (
            ("t4e_resolve_overlap", "t4e", True),
            ("t4e_raw", "t4e", False),
            ("theoviel_overlap_removed", "theoviel", True),
            ("theoviel_raw", "theoviel", False),
            ("a2_overlap_removed", "a2", True),
            ("a2_raw", "a2", False),
            # Where no true object is matched twice the corrected count agrees.
            ("theoviel_overlap_removed", "corrected", True),
        ):
            score = competition_score(truth, masks, variant, remove_overlap=remove)  # type: ignore[arg-type]
            assert counts(score) == recorded(run[key], swapped=variant == "a2"), (key, variant)
            assert score.score == pytest.approx(run[key]["score"], abs=1e-12)


@pytest.mark.parametrize("image", IMAGES)
def test_published_label_image_versions(shared_golden: Path, image: str) -> None:
    for truth, masks, run in load(shared_golden / "fusion", image):
        for name, objects in (("raw", masks), ("overlap_removed", without_overlap(masks))):
            for original, variant in (
                ("mistag", "label_image_published"),
                ("theoviel_repo", "label_image_theoviel"),
            ):
                entry = run[f"label_image_{original}_{name}"]
                score = competition_score(truth, objects, variant)  # type: ignore[arg-type]
                assert counts(score) == recorded(entry)
                assert score.score == pytest.approx(entry["score"], abs=1e-12)
        # Where every object is visible, as when overlaps were removed, nothing needed correction.
        apart = competition_score(truth, without_overlap(masks), "label_image")
        assert counts(apart) == recorded(run["label_image_mistag_overlap_removed"])


def without_overlap(masks: CropMasks) -> CropMasks:
    left = masks.remove_overlap()
    return left[left.area() > 0]


def test_scores_of_a_data_set(shared_golden: Path) -> None:
    file = shared_golden / "fusion" / "1_metric" / "dataset_level.json"
    runs = {(run["model"], run["set"]): run for run in json.loads(file.read_text())["pooled"]}
    cases = [load(shared_golden / "fusion", image) for image in IMAGES]
    assert len(runs) == 8
    for (model, kind), expected in runs.items():
        pairs = [case[int(model[-1])][:2] for case in cases]
        if kind == "overlap_removed":
            pairs = [(truth, without_overlap(masks)) for truth, masks in pairs]
        scores = [competition_score(*pair, "theoviel", remove_overlap=False) for pair in pairs]
        mean = expected["mean_over_images_of_theoviel_per_image"]
        pooled = expected["theoviel_repo_iou_map_on_list_of_iou_matrices"]
        assert mean_score(scores) == pytest.approx(mean, abs=1e-12)
        assert pooled_score(scores) == pytest.approx(pooled, abs=1e-12)
        painted = [competition_score(*pair, "label_image_published") for pair in pairs]
        pooled = expected["label_image_mistag_pooled_score"]
        assert pooled_score(painted) == pytest.approx(pooled, abs=1e-12)
        summed = [sum(np.array(counts(score)[k]) for score in painted).tolist() for k in range(3)]
        assert summed == [expected[f"pooled_{name}"] for name in ("TP", "FP", "FN")]


def test_published_edge_cases(shared_golden: Path) -> None:
    file = shared_golden / "fusion" / "1_metric" / "edge_cases.json"
    checked = 0
    for case in json.loads(file.read_text())["cases"].values():
        size = tuple(case["size"])
        truth, masks = (CropMasks.from_rle(case[k], size) for k in ("gt", "pred"))
        for key, variant, remove in (
            ("t4e_resolve_overlap", "t4e", True),
            ("t4e_raw", "t4e", False),
            ("theoviel", "theoviel", False),
            ("a2", "a2", False),
            ("label_image_mistag", "label_image_published", False),
        ):
            score = competition_score(truth, masks, variant, remove_overlap=remove)  # type: ignore[arg-type]
            if "raises" in case[key]:
                # What they fail on is decided here: nothing found of nothing is right.
                assert score.score == (not len(truth) and not len(masks))
                continue
            assert counts(score) == recorded(case[key], swapped=variant == "a2")
            checked += 1
    assert checked == 43


def test_an_object_painted_over_keeps_its_neighbours_apart() -> None:
    """The third square hides the first: published bins join labels, numbering again does not."""
    truth = squares((0, 0), (8, 8), (16, 16))
    masks = squares((0, 0), (8, 8), (0, 0), (16, 16))
    assert competition_score(truth, masks, "label_image").score == 1
    assert competition_score(truth, masks, "label_image_published").score < 1


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_painting_finds_the_pairs_of_comparing(seed: int, much_background: bool) -> None:
    random = np.random.default_rng(seed)
    extent = 90 if much_background else 30
    sides = []
    for count in random.integers(0, 12, 2):
        stack = np.zeros((count, extent, extent), np.bool_)
        for mask in stack:
            y, x, h, w = random.integers(0, 12, 4)
            mask[y : y + h, x : x + w] = random.random((h, w)) < 0.9
        sides.append(CropMasks.from_full(stack) if count else CropMasks.empty((extent, extent)))
    truth, masks = sides
    image, apart = painted(masks), masks.remove_overlap()
    np.testing.assert_array_equal(image.areas, apart.area())
    found, expected = pairs_with_painted(truth, image, 0.1), pairs_above(truth, apart, 0.1)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def squares(*corners: tuple[int, int], side: int = 4) -> CropMasks:
    stack = np.zeros((len(corners), 24, 24), np.bool_)
    for mask, (y, x) in zip(stack, corners, strict=True):
        mask[y : y + side, x : x + side] = True
    return CropMasks.from_full(stack) if corners else CropMasks.empty((24, 24))


@pytest.mark.parametrize("variant", get_args(Variant))
def test_nothing_and_everything(variant: Variant) -> None:
    none, some = squares(), squares((0, 0), (10, 10))
    assert competition_score(some, some, variant).score == 1
    assert competition_score(some, none, variant).score == 0
    assert competition_score(none, some, variant).score == 0
    assert competition_score(none, none, variant).score == 1


def test_a_prediction_finds_one_object_only() -> None:
    twins = squares((0, 0), (0, 0))
    score = competition_score(twins, squares((0, 0)))
    assert counts(score) == ([1] * 10, [0] * 10, [1] * 10)
    again = competition_score(squares((0, 0)), twins, remove_overlap=False)
    assert counts(again) == ([1] * 10, [1] * 10, [0] * 10)
    # With overlaps removed the second prediction is empty, and no prediction at all.
    assert competition_score(squares((0, 0)), twins).score == 1


def test_an_overlap_equal_to_the_threshold_is_no_match() -> None:
    """Intersections of 20 - k pixels over a union of 20: IoU 0.95, 0.90, ..., 0.50."""
    for k, found in zip(range(1, 11), range(9, -1, -1), strict=True):
        stack = np.ones((1, 4, 5), np.bool_)
        smaller = stack.copy()
        smaller.reshape(-1)[:k] = False
        score = competition_score(CropMasks.from_full(stack), CropMasks.from_full(smaller))
        assert score.true_positives.sum() == found


def test_instances_are_taken_by_score() -> None:
    masks = CropMasks.concatenate([squares((0, 0), side=8), squares((0, 0), side=6)])
    truth = squares((0, 0), side=6)
    best_first = competition_score(truth, Instances.from_masks(masks, [0.1, 0.9]))
    as_it_stands = competition_score(truth, masks)
    assert best_first.true_positives.tolist() == [1] * 10
    assert as_it_stands.true_positives.tolist() == [1, 1, *[0] * 8]


@given(st.integers(0, 2**32 - 1))
def test_naive_count(seed: int) -> None:
    """Predictions without overlap, so that each true object can match one of them only."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, (6, 7))
    noise = np.where(random.random((6, 7)) < 0.2, random.integers(0, 4, (6, 7)), labels)
    truth, masks = CropMasks.from_labels(labels)[0], CropMasks.from_labels(noise)[0]
    ious = [
        [
            (truth.full(i) & masks.full(j)).sum() / (truth.full(i) | masks.full(j)).sum()
            for j in range(len(masks))
        ]
        for i in range(len(truth))
    ]
    for k, threshold in enumerate(THRESHOLDS):
        found = sum(max(row, default=0) > threshold for row in ious)
        score = competition_score(truth, masks)
        assert score.true_positives[k] == found
        assert score.false_positives[k] == len(masks) - found
        assert score.false_negatives[k] == len(truth) - found


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown variant"):
        competition_score(squares(), squares(), "mine")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="24 x 24 pixels but the prediction 5 x 6"):
        competition_score(squares((0, 0)), CropMasks.empty((5, 6)))
    broken = Instances.from_masks(squares((0, 0), (9, 9)), [0.5, np.nan])
    with pytest.raises(UserError, match="score of object 2 is not a number"):
        competition_score(squares((0, 0)), broken)
    assert np.isnan(mean_score([])) and np.isnan(pooled_score([]))
