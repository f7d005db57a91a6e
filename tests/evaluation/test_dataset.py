"""Whole data sets: pairing images and categories, the report, and the user's mistakes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.evaluation import evaluate_dataset
from napari_sartorius.evaluation.cases import collect_cases
from napari_sartorius.evaluation.result_text import as_text
from napari_sartorius.io.coco import CocoDataset, CocoImage

SIZE = (20, 30)


def squares(*corners: tuple[int, int], category: int = 0) -> Instances:
    stack = np.zeros((len(corners), *SIZE), np.bool_)
    for mask, (y, x) in zip(stack, corners, strict=True):
        mask[y : y + 4, x : x + 4] = True
    return Instances.from_masks(
        CropMasks.from_full(stack), categories=np.full(len(corners), category)
    )


def dataset(
    objects: dict[str, Instances],
    names: tuple[str, ...] = ("round", "long"),
    splits: dict[str, str] | None = None,
) -> CocoDataset:
    images = [
        CocoImage(
            id=i,
            file_name=name,
            width=SIZE[1],
            height=SIZE[0],
            extra={"split": splits[name]} if splits else {},
        )
        for i, name in enumerate(objects, 10)
    ]
    return CocoDataset(
        images, categories_from_names(names), dict(enumerate(objects.values(), 10)), {}, None
    )


TRUTH = {
    "images/a.png": squares((0, 0), (10, 10)),
    "images/b.png": squares((5, 5), category=1),
    "images/c.png": squares(),
}


def test_scores_counts_and_names() -> None:
    predicted = dataset(
        {
            "b.tif": squares((5, 5), (14, 20), category=0),
            "a.tif": squares((0, 0), category=1),
            "c.tif": squares(),
            "never_annotated.tif": squares((1, 1)),
        },
        names=("Long", "Round"),
    )
    result = evaluate_dataset(dataset(TRUTH), predicted)
    assert [i.file_name for i in result.images] == list(TRUTH)
    assert [i.competition.score for i in result.images] == [0.5, 0.5, 1.0]
    assert [i.category for i in result.images] == ["round", "long", None]
    assert result.competition_score == pytest.approx(2 / 3)
    by_name = {c.name: c for c in result.categories}
    assert by_name["round"].mean == 0.5
    assert by_name["round"].contribution == pytest.approx(0.5 / 3)
    assert (by_name["round"].true_count, by_name["round"].predicted_count) == (2, 1)
    assert (by_name["long"].true_count, by_name["long"].predicted_count) == (1, 2)
    assert by_name["round"].average_precision is not None
    # Half of the recall levels (51 of 101) are reached, with full precision.
    assert by_name["round"].average_precision.ap == pytest.approx(51 / 101)


def test_report_as_json_and_text() -> None:
    result = evaluate_dataset(dataset(TRUTH), dataset(TRUTH))
    content = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert content["competition_score"] == 1
    assert content["ap50"] == pytest.approx(1)
    assert content["categories"]["long"]["images"] == 1
    assert [i["file_name"] for i in content["images"]] == list(TRUTH)
    text = as_text(result)
    assert all(name in text for name in [*TRUTH, "round", "long", "1.0000", "AP50"])
    assert "a.png" not in as_text(result, per_image=False)


def test_a_split_of_the_truth() -> None:
    splits = dict(zip(TRUTH, ("train", "val", "val"), strict=True))
    truth = dataset(TRUTH, splits=splits)
    predicted = dataset({name: TRUTH[name] for name in list(TRUTH)[1:]})
    result = evaluate_dataset(truth, predicted, split="val")
    assert [i.file_name for i in result.images] == list(TRUTH)[1:]
    with pytest.raises(UserError, match=r"'test'.*choose from train, val"):
        evaluate_dataset(truth, predicted, split="test")
    with pytest.raises(UserError, match="names no splits"):
        evaluate_dataset(dataset(TRUTH), predicted, split="val")
    with pytest.raises(UserError, match=r"lacks 1 of 3.*images/a.png"):
        evaluate_dataset(truth, predicted)


def test_whole_names_come_first() -> None:
    truth = dataset({"one/a.png": squares((0, 0)), "two/a.png": squares((9, 9))})
    assert evaluate_dataset(truth, truth).competition_score == 1
    elsewhere = dataset({"x/a.png": squares((0, 0)), "y/a.png": squares((9, 9))})
    with pytest.raises(UserError, match=r"one/a.png could be x/a.png and y/a.png"):
        evaluate_dataset(truth, elsewhere)


def test_mismatches_are_explained() -> None:
    truth = dataset(TRUTH)
    strange = dataset(TRUTH, names=("round", "square"))
    with pytest.raises(UserError, match=r"'square'.*round, long"):
        evaluate_dataset(truth, strange)
    one_kind = {"a.png": squares((0, 0))}
    result = evaluate_dataset(dataset(one_kind, ("cell",)), dataset(one_kind, ("nucleus",)))
    assert result.average_precision.ap == pytest.approx(1)
    with pytest.raises(UserError, match="no images"):
        evaluate_dataset(dataset({}), truth)
    smaller = dataset(TRUTH)
    smaller.images[0] = CocoImage(10, "images/a.png", 15, 10)
    with pytest.raises(UserError, match="20 x 30 pixels in the truth but 10 x 15"):
        evaluate_dataset(truth, smaller)


@pytest.mark.parametrize("score", [np.nan, 1.5, -0.1])
def test_scores_that_are_none_are_named(score: float) -> None:
    broken = squares((0, 0), (9, 9))
    broken.scores[1] = score
    with pytest.raises(UserError, match=r"Object 2 of the prediction of images/a\.png .*0 to 1"):
        evaluate_dataset(dataset({"images/a.png": squares((0, 0))}), dataset({"a.png": broken}))


def test_crowds_are_no_cells() -> None:
    truth = squares((0, 0), (10, 10))
    truth.columns["iscrowd"] = np.array([0, 1])
    result = evaluate_dataset(dataset({"a.png": truth}), dataset({"a.png": squares((0, 0))}))
    assert result.competition_score == 1
    assert result.counting.mean_absolute == 0
    inside = squares((0, 0), (10, 10))
    inside.scores[:] = 0.5, 0.9
    forgiven = evaluate_dataset(dataset({"a.png": truth}), dataset({"a.png": inside}))
    assert forgiven.average_precision.ap == pytest.approx(1)
    assert forgiven.counts.extra == 1


def test_partial_predictions_are_compared_on_request() -> None:
    truth, predicted = dataset(TRUTH), dataset({name: TRUTH[name] for name in list(TRUTH)[1:]})
    cases = collect_cases(truth, predicted, partial=True)
    assert cases.left_out == 1
    assert [case.file_name for case in cases] == list(TRUTH)[1:]
    with pytest.raises(UserError, match="lacks 3 of 3"):
        collect_cases(truth, dataset({"x.png": squares()}), partial=True)


def test_outcomes_counts_and_calibration_of_a_data_set() -> None:
    found = {
        "images/a.png": squares((0, 0), (1, 20)),
        "images/b.png": squares((5, 5), category=1),
        "images/c.png": squares((3, 3)),
    }
    result = evaluate_dataset(dataset(TRUTH), dataset(found))
    counts = result.counts
    assert (counts.truths, counts.matched, counts.missed, counts.extra) == (3, 2, 1, 2)
    assert result.counting.mean_absolute == pytest.approx(1 / 3)
    # Four objects with the score 1, two of them right.
    assert result.calibration.expected_error == pytest.approx(0.5)
    assert result.precisions.mean() == pytest.approx(result.competition_score)
    assert result.pooled_score == pytest.approx(2 / 5)
    by_name = {c.name: c for c in result.categories}
    assert (by_name["round"].true_matched, by_name["round"].predicted_matched) == (1, 1)
    assert by_name["round"].counting.images == 2
    text = as_text(result)
    assert "2 matched, 1 missed, 2 extra, 0 merged, 0 split" in text
    assert "off by 0.3 objects an image" in text and "0.3 too many" in text


def test_progress_and_cancel() -> None:
    class Impatient(Monitor):
        heard: list[float] = []  # noqa: RUF012 - one instance in one test

        def progress(self, stage: str, fraction: float) -> None:
            self.heard.append(fraction)

        def check(self) -> None:
            if len(self.heard) == 2:
                raise Cancelled

    with pytest.raises(Cancelled):
        evaluate_dataset(dataset(TRUTH), dataset(TRUTH), monitor=Impatient())
    assert Impatient.heard == sorted(Impatient.heard)
