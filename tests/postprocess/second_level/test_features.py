"""Features of objects against those that the 7th place's code computed, and on odd objects."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sartorius.core.errors import MissingPackage
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.postprocess.second_level import names
from napari_sartorius.postprocess.second_level.features import object_features
from t4e_golden import (
    IMAGES,
    recorded_objects,
    recorded_table,
    synthetic_image,
)

if TYPE_CHECKING:
    from pathlib import Path

# Fitted ellipses of outlines that are nearly a line depend on the version of OpenCV.
TOLERANCE = {"rotation_ang": 1e-3, "major_axis_length": 1e-3, "minor_axis_length": 1e-3}


@pytest.fixture(scope="module")
def folder(shared_golden: Path) -> Path:
    return shared_golden / "fusion" / "5_t4e"


def test_names_are_the_published_ones(folder: Path) -> None:
    published = json.loads((folder / "all_candidate_features.json").read_text())
    assert list(names.CANDIDATES) == published


@pytest.mark.parametrize("image", IMAGES)
def test_features(folder: Path, image: str) -> None:
    objects, recorded = recorded_objects(folder, image), recorded_table(folder, image)
    found = object_features(objects, synthetic_image(), compat="t4e")
    assert tuple(found) == names.CANDIDATES
    for name, values in found.items():
        if name.startswith(("kdtree_nb_top", "im_")):
            continue
        np.testing.assert_allclose(
            values, recorded[name], rtol=TOLERANCE.get(name, 2e-5), atol=1e-6, err_msg=name
        )


@pytest.mark.parametrize("image", IMAGES)
def test_nearest_neighbours(folder: Path, image: str) -> None:
    """Where several neighbours are equally far, which of them counts is nobody's choice."""
    objects, recorded = recorded_objects(folder, image), recorded_table(folder, image)
    found = object_features(objects, compat="t4e")
    centres = np.stack([found["centroid_x"], found["centroid_y"]], axis=1)
    away = np.hypot(*(centres[:, None] - centres[None]).T)
    away.sort(axis=1)
    for number in names.NEAREST:
        clear = ~np.isclose(away[:, number - 1], away[:, number])
        assert clear.mean() > 0.7
        for name in names.nearest_names(number):
            rows = slice(None) if name.endswith("_dist") else clear
            np.testing.assert_allclose(
                found[name][rows], recorded[name][rows], rtol=2e-5, atol=1e-6, err_msg=name
            )


@pytest.mark.parametrize("image", IMAGES)
def test_grey_levels(folder: Path, image: str) -> None:
    """Pixels of a probability of exactly one half count here, in the original's images not."""
    objects, recorded = recorded_objects(folder, image), recorded_table(folder, image)
    found = object_features(objects, synthetic_image())
    for name in names.INTENSITY:
        same = np.isclose(found[name], recorded[f"syn_{name}"], rtol=1e-6)
        assert same.mean() > 0.97, name


@pytest.mark.parametrize("image", IMAGES)
def test_numbers_of_neighbours(folder: Path, image: str) -> None:
    found = object_features(recorded_objects(folder, image))
    corrected = json.loads((folder / image / "corrected_neighbour_counts.json").read_text())
    for radius in names.RADII:
        assert found[f"kdtree_nb_r{radius}_count"].tolist() == corrected[f"r{radius}"]


def squares(*corners: tuple[int, int], side: int = 10) -> Instances:
    stack = np.zeros((len(corners), 60, 80), np.bool_)
    for mask, (y, x) in zip(stack, corners, strict=True):
        mask[y : y + side, x : x + side] = True
    return Instances.from_masks(CropMasks.from_full(stack), np.linspace(0.9, 0.5, len(corners)))


def test_overlaps_without_oneself() -> None:
    found = object_features(squares((10, 10), (10, 15), (40, 60)))
    third = 50 / 150
    np.testing.assert_allclose(found["neighbor_iou_max"], [third, third, 0])
    np.testing.assert_allclose(found["neighbor_iou_mean"], [third / 2, third / 2, 0])
    np.testing.assert_allclose(found["neighbor_iou_min"], [0, 0, 0])
    assert found["neighbor_overlap_count"].tolist() == [1, 1, 0]
    two = object_features(squares((10, 10), (10, 15)))
    np.testing.assert_allclose(two["neighbor_iou_min"], third)


def test_equal_centres_are_two_objects() -> None:
    found = object_features(squares((10, 10), (10, 10), (30, 30)))
    assert found["kdtree_nb_r25_count"].tolist() == [1, 1, 0]
    assert found["kdtree_nb_top2_mean_dist"].tolist()[:2] == [0, 0]
    assert found["kdtree_nb_top2_mean_box_score"][0] == pytest.approx(0.7)
    assert found["kdtree_nb_top2_mean_box_score"][1] == pytest.approx(0.9)


def test_few_and_odd_objects() -> None:
    assert all(len(column) == 0 for column in object_features(Instances.empty((9, 9))).values())
    alone = object_features(squares((10, 10)))
    assert alone["kdtree_nb_top7_mean_dist"].tolist() == [-1]
    assert alone["kdtree_nb_r200_count"].tolist() == [0]
    stack = np.zeros((3, 20, 20), np.bool_)
    stack[0, 5, 5], stack[1, 9, 2:9] = True, True  # a pixel, a line, nothing
    odd = object_features(Instances.from_masks(CropMasks.from_full(stack)), np.ones((20, 20)))
    assert odd["centroid_x"].tolist()[:2] == [5, 5]
    assert odd["equi_diameter"].tolist()[:2] == [0, 0]
    assert np.isnan(odd["solidity"]).all() and np.isnan(odd["perimeter"][2])
    assert odd["major_axis_length"].tolist()[0] == -1
    assert odd["im_mean_pixel"].tolist()[:2] == [1, 1] and np.isnan(odd["im_mean_pixel"][2])


def test_what_looks_agree_on_is_taken_over() -> None:
    objects = squares((10, 10), (30, 30))
    assert "votes" not in object_features(objects)
    objects.columns["votes"] = np.array([3, 1])
    assert object_features(objects)["votes"].tolist() == [3, 1]


def test_a_scale_of_two_doubles_lengths() -> None:
    small, large = squares((8, 8), (20, 20)), squares((16, 16), (40, 40), side=20)
    one, two = object_features(small), object_features(large, scale=2.0)
    for name in ("mask_area", "box_area", "width", "box_x1"):
        np.testing.assert_allclose(two[name], one[name])
    # OpenCV's outlines run through the middles of pixels, so they lose half a pixel on each side.
    np.testing.assert_allclose(two["perimeter"], [38, 38])
    np.testing.assert_allclose(
        two["kdtree_nb_top2_mean_dist"], one["kdtree_nb_top2_mean_dist"], rtol=0.1
    )


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an image of"):
        object_features(squares((1, 1)), np.zeros((5, 5)))


def test_missing_opencv_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingPackage, match=r"napari-sartorius\[all\]"):
        object_features(squares((1, 1)))
