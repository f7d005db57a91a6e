"""Length and chopped filters against recorded decisions of the public weighted segments fusion."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.postprocess import apply, recipes
from napari_sartorius.postprocess.filter_config import FillHolesFilter
from napari_sartorius.postprocess.shape_filter import filters_from_table
from napari_sartorius.postprocess.shape_table import read_shape_table

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.postprocess.filter_config import FilterConfig

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
NAMES = ("shsy5y", "astro", "cort")
SIZE = (520, 704)


@pytest.fixture(scope="module", params=IMAGES)
def image(request: pytest.FixtureRequest, shared_golden: Path) -> tuple[Path, str]:
    return shared_golden / "fusion", request.param


def in_order(rles: list[Any], category: int) -> Instances:
    count = len(rles)
    return Instances.from_masks(
        CropMasks.from_rle(rles, SIZE), np.linspace(1, 0.1, count), np.full(count, category)
    )


def published(folder: Path) -> tuple[FilterConfig, ...]:
    table = read_shape_table(folder / "7_cell_shape/criteria_all12_images_used_by_wsf.csv")
    (length,) = filters_from_table(table)
    limits = dict(length.minimum)  # type: ignore[arg-type]
    filters = recipes.mistag(limits, compat="mistag")
    assert filters[0] == length
    return filters


def check(result: Instances, items: list[Any]) -> None:
    kept = [item["final_kaggle_rle"] for item in items if item["status"] == "kept"]
    assert result.masks.to_kaggle_rle() == kept


def test_fused_objects(image: tuple[Path, str]) -> None:
    folder, name = image
    recorded = json.loads((folder / "3_wsf" / name / "multimodel.json").read_text())
    fused = recorded["fused"]
    found = in_order([one["fused_mask"] for one in fused], recorded["predicted_class_index"])
    check(apply(published(folder), found, NAMES), fused)


def test_objects_of_a_single_model(image: tuple[Path, str]) -> None:
    folder, name = image
    recorded = json.loads((folder / "3_wsf" / name / "single_model0.json").read_text())
    model = json.loads((folder / "inputs" / name / "preds.json").read_text())["models"][0]
    fused = json.loads((folder / "3_wsf" / name / "multimodel.json").read_text())
    items = recorded["items"]
    masks = [model["detections"][item["detection_index"]]["mask"] for item in items]
    found = in_order(masks, fused["predicted_class_index"])
    check(apply((FillHolesFilter(), *published(folder)), found, NAMES), items)


def test_holes_and_crumbs_do_not_drop_an_object_when_corrected(image: tuple[Path, str]) -> None:
    folder, name = image
    recorded = json.loads((folder / "3_wsf" / name / "multimodel.json").read_text())
    fused = recorded["fused"]
    found = in_order([one["fused_mask"] for one in fused], recorded["predicted_class_index"])
    # Nothing overlaps what comes first, so only its holes and crumbs could drop it.
    first = found[[0]]
    result = apply(recipes.mistag(0.0), first, NAMES)
    assert len(result) == 1
    apart = apply(recipes.mistag(0.0), found, NAMES)
    assert len(apart.masks.overlaps()[0]) == 0
    whole = dict(zip(found.scores.tolist(), found.masks.area().tolist(), strict=True))
    assert all(
        area >= 0.3 * whole[score]
        for score, area in zip(apart.scores.tolist(), apart.masks.area().tolist(), strict=True)
    )
