"""How far planes are apart, and where layers begin, outlives saving and opening."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.instances import Instances
from napari_sartorius.io.coco import CocoDataset, CocoImage, read_coco, write_coco
from napari_sartorius.io.images import read_image
from napari_sartorius.io.labels_tiff import read_labels, write_labels
from napari_sartorius.io.layers_from_dataset import dataset_layers
from napari_sartorius.io.napari_hooks import (
    read_label_layers,
    write_coco_file,
    write_labels_file,
)

if TYPE_CHECKING:
    from pathlib import Path

_LENGTHS = ("micrometer", "micrometer", "micrometer")


def _labels(**meta: Any) -> tuple[np.ndarray, dict[str, Any], str]:
    labels = np.zeros((4, 20, 30), np.uint16)
    labels[1, 3:9, 4:9] = 1
    labels[2, 3:9, 4:9] = 2
    return labels, {"name": "cells", "axis_labels": ("z", "y", "x")} | meta, "labels"


def _ome(path: Path, axes: str, **sizes: Any) -> np.ndarray:
    shape = {2: (20, 30), 3: (4, 20, 30), 4: (2, 4, 20, 30)}[len(axes)]
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    tifffile.imwrite(
        path, pixels, ome=True, photometric="minisblack", metadata={"axes": axes, **sizes}
    )
    return pixels


def test_steps_of_ome_files(tmp_path: Path) -> None:
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2000}
    sizes |= {"PhysicalSizeZUnit": "nm", "TimeIncrement": 2, "TimeIncrementUnit": "min"}
    _ome(tmp_path / "a.tif", "TZYX", **sizes)
    image = read_image(tmp_path / "a.tif")
    assert image.steps == pytest.approx({"Z": 2.0, "T": 120.0})
    _ome(tmp_path / "b.tif", "TYX", **sizes)
    assert read_image(tmp_path / "b.tif").steps == {"T": 120.0}  # it has no depth
    _ome(tmp_path / "c.tif", "TYX", PhysicalSizeX=0.5, PhysicalSizeY=0.5)
    assert read_image(tmp_path / "c.tif").steps == {}


def test_steps_of_imagej_files(tmp_path: Path) -> None:
    metadata = {"axes": "TZYX", "unit": "um", "spacing": 1.5, "finterval": 30}
    pixels = np.zeros((2, 3, 20, 30), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, resolution=(2, 2), metadata=metadata)
    assert read_image(tmp_path / "a.tif").steps == {"Z": 1.5, "T": 30.0}


def test_label_tiffs_keep_steps(tmp_path: Path) -> None:
    labels = np.ones((2, 3, 20, 30), np.uint8)
    path = tmp_path / "a_labels.tif"
    write_labels(path, labels, pixel_size=0.5, axes="TZYX", steps={"Z": 2.0, "T": 60.0})
    assert read_labels(path).steps == {"Z": 2.0, "T": 60.0}
    with tifffile.TiffFile(path) as tif:
        assert 'PhysicalSizeZ="2.0" PhysicalSizeZUnit="µm"' in (tif.ome_metadata or "")
    ((_, keywords, _),) = read_label_layers(str(path))
    assert keywords["scale"] == (60.0, 2.0, 0.5, 0.5)
    assert keywords["units"] == ("s", "um", "um", "um")


@pytest.mark.parametrize("with_image", [True, False])
def test_datasets_keep_the_steps_of_their_images(tmp_path: Path, with_image: bool) -> None:
    if with_image:
        _ome(tmp_path / "a.tif", "ZYX", PhysicalSizeX=0.5, PhysicalSizeY=0.5, PhysicalSizeZ=2.0)
    extra: dict[str, Any] = {"plane_axes": "Z"}
    if not with_image:
        extra |= {"pixel_size_um": [0.5, 0.5], "z_step_um": 2.0}
    images = [CocoImage(n, "a.tif", 30, 20, extra | {"plane": [n]}) for n in range(4)]
    nothing = dict.fromkeys(range(4), Instances.empty((20, 30)))
    dataset = CocoDataset(images, categories_from_names(["a"]), nothing)
    write_coco(tmp_path / "a.json", dataset)
    layers = dataset_layers(read_coco(tmp_path / "a.json"), "a")
    assert len(layers) == 1 + with_image
    for _, keywords, _ in layers:
        assert keywords["scale"] == (2.0, 0.5, 0.5)
        assert keywords["units"] == ("um", "um", "um")


@pytest.mark.parametrize(
    "units", [_LENGTHS, ("pixel", "pixel", "pixel"), ("second", *_LENGTHS[:2])]
)
def test_a_saved_layer_lies_where_it_lay(tmp_path: Path, units: tuple[str, ...]) -> None:
    place = {"scale": (2, 0.5, 0.5), "translate": (3, 10, 20), "units": units}
    layer = _labels(**place)
    write_coco_file(str(tmp_path / "a.json"), [layer])
    write_labels_file(str(tmp_path / "a.tif"), layer[0], layer[1])
    for again in (
        dataset_layers(read_coco(tmp_path / "a.json"), "a")[-1],
        read_label_layers(str(tmp_path / "a.tif"))[0],
    ):
        np.testing.assert_array_equal(again[0], layer[0])
        assert {name: tuple(again[1][name]) for name in place} == {
            name: tuple(value) for name, value in place.items()
        }
        assert again[1]["axis_labels"] == ("z", "y", "x")


def test_a_layer_that_was_moved_since_is_saved_where_it_is(tmp_path: Path) -> None:
    place = {"scale": (2, 0.5, 0.5), "translate": (3, 10, 20), "units": _LENGTHS}
    path = tmp_path / "a.json"
    write_coco_file(str(path), [_labels(**place)])
    (opened,) = dataset_layers(read_coco(path), "a")
    opened[1]["translate"] = (0.0, 0.0, 7.0)
    write_coco_file(str(path), [opened])
    (again,) = dataset_layers(read_coco(path), "a")
    assert again[1]["translate"] == (0.0, 0.0, 7.0)
    assert again[1]["scale"] == (2.0, 0.5, 0.5)


def test_labels_of_one_slice_open_at_that_slice(tmp_path: Path) -> None:
    """Labels of one slice lie at its depth; the records know the stack's beginning."""
    stack = {"scale": (2.0, 0.5, 0.5), "translate": (3.0, 10.0, 20.0), "units": _LENGTHS}
    pixels = np.random.default_rng(0).integers(0, 255, (4, 20, 30)).astype(np.uint8)
    labels, meta, kind = _labels(**stack | {"translate": (7.0, 10.0, 20.0)})
    meta["metadata"] = {"sartorius": {"image": "stack"}}
    image = (pixels, {"name": "stack", "rgb": False} | stack, "image")
    path = tmp_path / "a.json"
    write_coco_file(str(path), [image, (labels[2:3], meta, kind)])
    for _ in range(2):  # and again from what was opened
        opened = dataset_layers(read_coco(path), "a")
        np.testing.assert_array_equal(opened[0][0], pixels[2:3])
        for _, keywords, _ in opened:
            assert keywords["translate"] == (7.0, 10.0, 20.0)
            assert keywords["scale"] == (2.0, 0.5, 0.5)
        write_coco_file(str(path), opened)


def test_tiles_at_different_places_stay_there(tmp_path: Path) -> None:
    tiles = [
        (
            np.eye(20, dtype=np.uint8),
            {"name": f"tile {n}", "translate": (0, 20 * n), "units": ("pixel", "pixel")},
            "labels",
        )
        for n in range(3)
    ]
    write_coco_file(str(tmp_path / "a.json"), tiles)
    opened = dataset_layers(read_coco(tmp_path / "a.json"), "a")
    assert [layer[1].get("translate") for layer in opened] == [None, (0, 20), (0, 40)]


def test_a_depth_without_a_name_is_told_by_its_unit(tmp_path: Path) -> None:
    layer = _labels(scale=(2, 0.5, 0.5), units=_LENGTHS, axis_labels=("a", "b", "c"))
    write_labels_file(str(tmp_path / "a.tif"), layer[0], layer[1])
    image = read_labels(tmp_path / "a.tif")
    assert image.axes == "ZYX"
    assert image.steps == {"Z": 2.0}


@pytest.mark.parametrize(
    "place",
    [
        "here",
        {"scale": [1, 0, 1], "translate": [0, 0, 0], "units": ["um"] * 3},
        {"scale": [1, 1], "translate": [0, 0, 0], "units": ["um"] * 3},
        {"scale": [1, 1, float("nan")], "translate": [0, 0, 0], "units": ["um"] * 3},
    ],
)
def test_a_place_that_no_viewer_could_use_is_passed_over(
    tmp_path: Path, overlapping: Instances, place: Any
) -> None:
    image = CocoImage(1, "a.png", 50, 30, {"pixel_size_um": [0.5, 0.5], "placement": place})
    dataset = CocoDataset([image], categories_from_names(["a", "b"]), {1: overlapping})
    ((_, keywords, _),) = dataset_layers(dataset, "a")
    assert keywords["scale"] == (0.5, 0.5)
    assert "translate" not in keywords


def test_napari_takes_the_place(tmp_path: Path) -> None:
    layers = pytest.importorskip("napari.layers")
    place = {"scale": (2, 0.5, 0.5), "translate": (3, 10, 20), "units": _LENGTHS}
    first = layers.Layer.create(*_labels(**place))
    write_coco_file(str(tmp_path / "a.json"), [first.as_layer_data_tuple()])
    write_labels_file(str(tmp_path / "a.tif"), *first.as_layer_data_tuple()[:2])
    (from_coco,) = dataset_layers(read_coco(tmp_path / "a.json"), "a")
    (from_tiff,) = read_label_layers(str(tmp_path / "a.tif"))
    for opened in (from_coco, from_tiff):
        again = layers.Layer.create(*opened)
        np.testing.assert_array_equal(again.scale, first.scale)
        np.testing.assert_array_equal(again.translate, first.translate)
        assert again.units == first.units
