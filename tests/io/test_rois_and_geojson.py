"""Outlines for other programs: nothing shrinks, and their own readers agree."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import geojson
import numpy as np
import pytest
import roifile
from shapely.geometry import shape

from napari_sartorius.core.categories import Category
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.geojson import read_geojson, write_geojson
from napari_sartorius.io.imagej_rois import read_rois, write_rois

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = (50, 70)
KINDS = [Category(1, "neuron", "#e69f00"), Category(2, "glia / other", "#56b4e9")]

BOTH: list[tuple[Callable[..., None], Callable[..., Any], str]] = [
    (write_geojson, read_geojson, "cells.geojson"),
    (write_rois, read_rois, "cells.zip"),
]


@pytest.fixture
def cells() -> Instances:
    """A disc, a ring with an island, two diagonal pixels, one pixel, overlapping, at the border."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    full = np.zeros((6, *SIZE), bool)
    full[0] = (y - 12) ** 2 + (x - 14) ** 2 < 81
    radius = np.hypot(y - 30, x - 30)
    full[1] = (radius < 15) & (radius > 8) | (radius < 4)
    full[2, 40, 60] = full[2, 41, 61] = True
    full[3, 0, 0] = True
    full[4] = (y - 14) ** 2 + (x - 18) ** 2 < 64
    full[5, 45:50, 50:70] = True
    return Instances.from_masks(
        CropMasks.from_full(full),
        scores=np.array([0.9, 0.8, 0.7, 0.6, 0.5, 1.0], np.float32),
        categories=[0, 1, 0, 1, 1, 0],
    )


@pytest.mark.parametrize(("write", "read", "name"), BOTH)
def test_ten_times_out_and_in_moves_no_pixel(
    tmp_path: Path, cells: Instances, write: Any, read: Any, name: str
) -> None:
    now, kinds = cells, KINDS
    for _ in range(10):
        write(tmp_path / name, now, kinds)
        now, kinds = read(tmp_path / name, SIZE)
    for i in range(len(cells)):
        np.testing.assert_array_equal(now.masks.full(i), cells.masks.full(i))
    np.testing.assert_allclose(now.scores, cells.scores, atol=1e-6)
    assert [kinds[n].name.split()[0] for n in now.categories] == [
        KINDS[n].name.split()[0] for n in cells.categories
    ]


def test_geojson_and_shapely_read_the_same_areas(tmp_path: Path, cells: Instances) -> None:
    path = tmp_path / "cells.geojson"
    write_geojson(path, cells, KINDS)
    theirs = geojson.loads(path.read_text())
    assert theirs.is_valid, theirs.errors()
    shapes = [shape(feature.geometry) for feature in theirs.features]
    assert all(one.is_valid for one in shapes)
    assert [one.area for one in shapes] == cells.masks.area().tolist()
    assert theirs.features[1].properties["classification"] == {
        "name": "glia / other",
        "color": [0x56, 0xB4, 0xE9],
    }


def test_imagej_regions_have_the_same_areas_and_boxes(tmp_path: Path, cells: Instances) -> None:
    path = tmp_path / "cells.zip"
    write_rois(path, cells, KINDS)
    theirs = roifile.roiread(path)
    assert [roi.name for roi in theirs][:2] == ["0001-neuron", "0002-glia _ other"]
    for i, roi in enumerate(theirs):
        box = [roi.left, roi.top, roi.right, roi.bottom]
        assert box == cells.masks.bounding_boxes()[i].tolist()
        area = 0.0
        for ring in roi.coordinates(multi=True):
            x, y = np.asarray(ring, float).T
            area += (np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y)) / 2
        assert area == cells.masks.area()[i]


def test_what_fiji_draws_is_read(tmp_path: Path) -> None:
    path = tmp_path / "drawn.zip"
    polygon = roifile.ImagejRoi.frompoints(np.array([[5.5, 5.0], [20.0, 5.0], [20.0, 15.0]]))
    polygon.name = "by hand"
    box = roifile.ImagejRoi()
    box.version, box.roitype, box.name = 227, roifile.ROI_TYPE.RECT, "box"
    box.left, box.top, box.right, box.bottom = 30, 10, 40, 22
    roifile.roiwrite(path, [polygon, box])
    found, kinds = read_rois(path, SIZE)
    assert [kind.name for kind in kinds] == ["cell"]
    assert found.masks.area().tolist()[1] == 120
    assert abs(found.masks.area()[0] - 14.5 * 10 / 2) < 6
    np.testing.assert_array_equal(found.boxes[1], [30, 10, 40, 22])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ('{"features": 3}', "no GeoJSON"),
        ('[{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}}]', "Point"),
        ('[{"type": "Feature"}]', "feature 1 is a record without geometry"),
        (
            '[{"geometry": {"type": "Polygon", "coordinates": [[[1, 2], [3]]]}}]',
            "no outline",
        ),
        ('[{"geometry": {"type": "Polygon", "coordinates": []}}]', "no outline"),
    ],
)
def test_bad_geojson_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.geojson"
    path.write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        read_geojson(path, SIZE)
    assert str(path) in str(caught.value)


def test_bad_zips_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "bad.zip"
    with pytest.raises(UserError, match="does not exist"):
        read_rois(path, SIZE)
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(UserError, match="not a readable zip"):
        read_rois(path, SIZE)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UserError, match="no ImageJ region"):
        read_rois(path, SIZE)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.roi", b"Iout but cut off")
    with pytest.raises(UserError, match=r"a\.roi is damaged"):
        read_rois(path, SIZE)
    line = roifile.ImagejRoi()
    line.version, line.roitype, line.name = 227, roifile.ROI_TYPE.LINE, "line"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("line.roi", line.tobytes())
    with pytest.raises(UserError, match="is a line, expected an area"):
        read_rois(path, SIZE)


def test_foreign_classes_keep_their_colour(tmp_path: Path) -> None:
    path = tmp_path / "qupath.geojson"
    ring = [[1, 1], [9, 1], [9, 9], [1, 9], [1, 1]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": "Tumor", "color": [200, 0, 0]}},
    }
    path.write_text(json.dumps(feature))
    found, kinds = read_geojson(path, SIZE)
    assert found.masks.area().tolist() == [64]
    assert kinds == [Category(1, "Tumor", "#c80000")]
