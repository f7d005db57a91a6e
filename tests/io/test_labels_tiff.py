"""Label images keep their values, their size on the glass, and take the smallest type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.labels_tiff import read_label_instances, read_labels, write_labels

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.core.instances import Instances


@pytest.mark.parametrize(
    ("highest", "dtype"), [(0, "u1"), (255, "u1"), (256, "u2"), (65535, "u2"), (65536, "u4")]
)
def test_smallest_type(tmp_path: Path, highest: int, dtype: str) -> None:
    labels = np.zeros((20, 30), np.int64)
    labels[3:5, 4:9] = highest
    write_labels(tmp_path / "a.tif", labels)
    image = read_labels(tmp_path / "a.tif")
    assert tifffile.imread(tmp_path / "a.tif").dtype == dtype
    assert image.pixels.dtype == dtype
    np.testing.assert_array_equal(image.to_array(), labels)


def test_pixel_size_is_kept_for_every_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_labels(path, np.eye(20, dtype=int), pixel_size=(0.5, 0.325))
    assert read_labels(path).pixel_size_yx == pytest.approx((0.5, 0.325))
    with tifffile.TiffFile(path) as tif:
        numerator, denominator = tif.pages[0].tags["XResolution"].value
        assert tif.pages[0].tags["ResolutionUnit"].value == 3
        assert 1e4 * denominator / numerator == pytest.approx(0.325)
        assert tif.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE


@pytest.mark.parametrize(("shape", "axes"), [((3, 20, 30), "TYX"), ((2, 3, 20, 30), "TZYX")])
def test_stacks(tmp_path: Path, shape: tuple[int, ...], axes: str) -> None:
    labels = np.arange(np.prod(shape)).reshape(shape) % 500
    write_labels(tmp_path / "a.tif", labels, pixel_size=2.0, description='{"model": "neurons"}')
    image = read_labels(tmp_path / "a.tif")
    assert image.axes == axes
    assert image.pixel_size == 2.0
    np.testing.assert_array_equal(image.to_array(), labels)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert "neurons" in (tif.ome_metadata or "")


def test_z_stack_says_so(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", np.ones((3, 20, 30), int), axes="ZYX")
    assert read_labels(tmp_path / "a.tif").axes == "ZYX"


def test_objects_of_a_label_image(tmp_path: Path, overlapping: Instances) -> None:
    labels, _ = overlapping.to_labels()
    write_labels(tmp_path / "a.tif", labels * 10)
    instances = read_label_instances(tmp_path / "a.tif")
    assert instances.columns["label"].tolist() == [10, 20, 30]
    assert instances.masks.area().tolist() == [100, 80, 50]


def test_whole_floats_are_labels(tmp_path: Path) -> None:
    labels = np.arange(600, dtype=np.float32).reshape(20, 30)
    tifffile.imwrite(tmp_path / "a.tif", labels)
    assert read_labels(tmp_path / "a.tif").pixels.dtype == np.uint16


def test_labels_are_numbers_also_where_0_is_white(tmp_path: Path) -> None:
    labels = np.eye(20, dtype=np.uint8) * 7
    tifffile.imwrite(tmp_path / "a.tif", labels, photometric="miniswhite")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif").to_array(), labels)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((20, 30), 0.5),
        np.full((20, 30), np.nan),
        np.full((20, 30), np.inf),
        np.full((20, 30), -1),
    ],
)
def test_what_is_no_label_image(tmp_path: Path, pixels: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    with pytest.raises(UserError, match=r"a\.tif: values are not labels"):
        read_labels(tmp_path / "a.tif")
    with pytest.raises(UserError, match="values are not labels"):
        write_labels(tmp_path / "b.tif", pixels)
    assert not (tmp_path / "b.tif").exists()


def test_colours_are_no_labels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 30, 3), np.uint8), photometric="rgb")
    with pytest.raises(UserError, match="colour picture"):
        read_labels(tmp_path / "a.tif")


def test_five_dimensions_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one slice at a time"):
        write_labels(tmp_path / "a.tif", np.zeros((1, 1, 1, 4, 4), int))
    assert list(tmp_path.iterdir()) == []


def test_a_stack_is_not_one_image_of_objects(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", np.ones((3, 20, 30), int))
    with pytest.raises(UserError, match=r"is a stack \(TYX\)"):
        read_label_instances(tmp_path / "a.tif")
