"""Shape tables: percentiles, both file formats, the published layout, and damaged files."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.postprocess.shape_table import (
    ShapeTable,
    read_shape_table,
    write_shape_table,
)

if TYPE_CHECKING:
    from pathlib import Path

FEATURES = {
    "area": np.array([10.0, 20, 30, 400, 500, np.nan]),
    "solidity": np.array([0.1, 0.2, 0.3, 0.4, 0.5, np.nan]),
}
CATEGORIES = np.array([0, 0, 0, 1, 1, 2])
NAMES = ("round", "long", "unseen")


def table() -> ShapeTable:
    return ShapeTable.from_features(
        FEATURES, CATEGORIES, NAMES, percentiles=(0, 50), rows=("area", "solidity")
    )


def test_percentiles_per_category() -> None:
    assert table().range("area", "round") == (10, 20)
    assert table().range("solidity", "long") == (0.4, 0.45)
    assert table().range("area", "unseen") == (-math.inf, math.inf)
    rounded = ShapeTable.from_features(FEATURES, CATEGORIES, NAMES, rows=("area",), decimals=0)
    assert rounded.range("area", "long") == (401, 499)


def test_unknown_names_are_explained() -> None:
    with pytest.raises(UserError, match=r"no feature 'hue'.*area, solidity"):
        table().range("hue", "round")
    with pytest.raises(UserError, match=r"no category 'square'.*round, long, unseen"):
        table().range("area", "square")


@pytest.mark.parametrize("name", ["shapes.json", "shapes.csv"])
def test_files_bring_it_back(tmp_path: Path, name: str) -> None:
    write_shape_table(tmp_path / name, table())
    again = read_shape_table(tmp_path / name)
    # Not-a-number is not equal to itself: compare what is written.
    assert again.to_dict() == table().to_dict()


def test_published_layout(shared_golden: Path) -> None:
    found = read_shape_table(
        shared_golden / "fusion" / "7_cell_shape" / "criteria_all12_images_used_by_wsf.csv"
    )
    assert found.categories == ("shsy5y", "astro", "cort")
    assert found.features[:3] == ("area", "major_axis", "minor_axis")
    low, high = found.range("major_axis", "cort")
    assert 10 < low < 13 < high


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"kind": "other"}',
        '{"kind": "shape-table", "categories": {"a": {"area": [3, 2]}}}',
        '{"kind": "shape-table", "categories": {"a": {"area": [3]}}}',
        '{"kind": "shape-table", "categories": {"a": 5}}',
    ],
)
def test_damaged_files_are_named(tmp_path: Path, text: str) -> None:
    json.loads(text)
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(UserError, match=r"bad\.json is not a shape table"):
        read_shape_table(tmp_path / "bad.json")
    (tmp_path / "bad.csv").write_text("feature,a low\narea,1\n")
    with pytest.raises(UserError, match=r"bad\.csv is not a shape table"):
        read_shape_table(tmp_path / "bad.csv")
