"""The cell-shape analysis: published tables reproduced, masks themselves by default."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.evaluation.cell_shape import STATISTICS, histogram_edges, measure_cells
from napari_sartorius.evaluation.published_outlines import published_outlines, simplified
from napari_sartorius.postprocess.shape_table import TABLE_FEATURES, read_shape_table

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (520, 704)
NAMES = ("shsy5y", "astro", "cort")
PUBLISHED = {"major_axis": "major_axis_len", "minor_axis": "minor_axis_len"}


@pytest.fixture(scope="module")
def images(shared_golden: Path) -> dict[str, Instances]:
    """The annotated images of the reference, in the order of their names."""
    found = {}
    for file in sorted((shared_golden / "fusion" / "inputs").glob("*/gt.json")):
        annotations = json.loads(file.read_text())["annotations"]
        found[file.parent.name] = Instances.from_masks(
            CropMasks.from_rle([a["segmentation"] for a in annotations], SIZE),
            categories=np.array([a["category_id"] - 1 for a in annotations]),
        )
    return found


def test_published_features_and_tables(shared_golden: Path, images: dict[str, Instances]) -> None:
    folder = shared_golden / "fusion" / "7_cell_shape"
    shapes = measure_cells(images.values(), NAMES, compat="mistag")
    rows = defaultdict(list)
    with (folder / "shape_features.csv").open() as file:
        for row in csv.DictReader(file):
            rows[row["image_id"]].append(row)
    expected = [row for name in images for row in rows[name]]
    assert len(expected) == len(shapes.categories) == 878
    for feature, values in shapes.features.items():
        reference = [float(row[PUBLISHED.get(feature, feature)]) for row in expected]
        np.testing.assert_allclose(values, reference, rtol=1e-9, atol=1e-11)

    # The same numbers rounded to three decimals; halves may go either way.
    ours, theirs = shapes.table(decimals=3), read_shape_table(folder / "criteria_public_images.csv")
    assert (ours.features, ours.categories) == (theirs.features, theirs.categories)
    np.testing.assert_allclose(np.array(ours.ranges), np.array(theirs.ranges), atol=1.01e-3)
    statistics = shapes.statistics()
    with (folder / "stats_public_images.csv").open() as file:
        for i, row in enumerate(csv.DictReader(file)):
            assert (
                PUBLISHED.get(statistics["feature"][i], statistics["feature"][i]) == row["feature"]
            )
            assert statistics["category"][i] == row["cell_type"]
            for name in STATISTICS:
                assert statistics[name][i] == pytest.approx(float(row[name]), abs=1e-3)
    assert i + 1 == len(statistics["feature"]) == len(TABLE_FEATURES) * len(NAMES)


def test_published_outlines(shared_golden: Path, images: dict[str, Instances]) -> None:
    for name, objects in images.items():
        file = shared_golden / "fusion" / "7_cell_shape" / name / "polygons.json"
        content = json.loads(file.read_text())
        outlines = published_outlines(objects.masks)
        assert [len(rings) for rings in outlines] == [
            row[3] for row in content["all_cells_summary"]
        ]
        for cell in content["cells"]:
            for ring, polygon in zip(outlines[cell["gt_id"] - 1], cell["polygons"], strict=True):
                np.testing.assert_array_equal(ring.reshape(-1), polygon)


def test_masks_themselves_are_measured(images: dict[str, Instances]) -> None:
    objects = images["04cd81dfb245"]
    plain = measure_cells([objects], NAMES)
    assert plain.of("area").tolist() == objects.masks.area().tolist()
    published = measure_cells([objects], NAMES, compat="mistag")
    assert 1.05 < published.of("area").mean() / plain.of("area").mean() < 1.3


def squares(*sides: int) -> Instances:
    stack = np.zeros((len(sides), 20, 20), np.bool_)
    for mask, side in zip(stack, sides, strict=True):
        mask[2 : 2 + side, 3 : 3 + side] = True
    return Instances.from_masks(CropMasks.from_full(stack), categories=np.arange(len(sides)) % 2)


@pytest.mark.parametrize("compat", [None, "mistag"])
def test_cells_without_pixels_are_left_out(compat: None) -> None:
    shapes = measure_cells([squares(4, 0, 6), squares(5)], ("a", "b", "c"), compat=compat)
    assert shapes.categories.tolist() == [0, 0, 0]
    table = shapes.statistics(["area"])
    assert table["category"].tolist() == ["a"]
    assert table["count"].tolist() == [3]
    assert measure_cells([], ("a",), compat=compat).statistics()["feature"].size == 0


def test_one_cell_has_no_spread() -> None:
    table = measure_cells([squares(4)], ("a",)).statistics(["area"])
    assert np.isnan(table["std"][0])
    assert table["99%"][0] == 16


def test_simplified_keeps_what_sticks_out() -> None:
    ring = np.array([[0, 0], [5, 1], [10, 0], [10, 10], [4.9, 11.2], [0, 10]], float)
    kept = simplified(ring, 1.0)
    assert kept.tolist() == [[0, 0], [10, 0], [10, 10], [4.9, 11.2], [0, 10], [0, 0]]


def test_histograms_share_their_edges() -> None:
    edges = histogram_edges([np.array([0.0, 1, 2]), np.array([np.nan, 10])], 10, outliers=0)
    np.testing.assert_allclose(edges, np.arange(11))
    assert np.all(np.diff(histogram_edges([np.full(5, 3.0)])) > 0)
    assert len(histogram_edges([], 7)) == 8


def test_cancel() -> None:
    class Stop(Monitor):
        def check(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        measure_cells([squares(4)], ("a", "b"), monitor=Stop())
