"""The overlay shows every object where it is, in the right colour, on any kind of image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sartorius.core.categories import Category
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.images import read_image
from napari_sartorius.io.outlines import smooth_outlines
from napari_sartorius.io.overlay import draw_overlay, stretch_contrast, write_overlay

if TYPE_CHECKING:
    from pathlib import Path

_CATEGORIES = [Category(1, "a", "#ff0000"), Category(2, "b", "#00ff00")]


def _grey(shape: tuple[int, ...] = (30, 50)) -> np.ndarray:
    return np.random.default_rng(0).normal(100, 5, shape)


def _discs() -> Instances:
    y, x = np.mgrid[:200, :300]
    stack = np.stack([(y - 60) ** 2 + (x - 70) ** 2 < 900, (y - 140) ** 2 + (x - 220) ** 2 < 1600])
    stack[1] &= (y - 140) ** 2 + (x - 220) ** 2 > 400  # a ring
    return Instances.from_masks(CropMasks.from_full(stack), categories=[0, 1])


def test_outlines_have_the_category_colour() -> None:
    image = np.full((200, 300), 0.0)
    image[0, 0] = 1.0
    picture = draw_overlay(image, _discs(), categories=_CATEGORIES, legend=False).astype(int)
    zoom = picture.shape[0] // 200
    assert picture.shape == (200 * zoom, 300 * zoom, 3)
    red = (picture[..., 0] > 200) & (picture[..., 1] < 60)
    green = (picture[..., 1] > 200) & (picture[..., 0] < 60)
    for colour, centre, radii in ((red, (60, 70), (30,)), (green, (140, 220), (40, 20))):
        y, x = np.nonzero(colour)
        distance = np.hypot(y / zoom - centre[0] - 0.5, x / zoom - centre[1] - 0.5)
        off = np.min([np.abs(distance - radius) for radius in radii], axis=0)
        assert len(y) > 500
        assert off.max() < 2.0
    inside = picture[140 * zoom, 250 * zoom]
    hole = picture[140 * zoom, 220 * zoom]
    assert inside[1] > hole[1]  # the ring is tinted, its hole is not
    assert hole.max() == 0


def test_neighbours_differ_when_coloured_by_instance() -> None:
    image = np.zeros((200, 300))
    image[0, 0] = 1.0
    picture = draw_overlay(image, _discs(), colour_by="instance", fill=1.0)
    zoom = picture.shape[0] // 200
    first, second = picture[60 * zoom, 70 * zoom], picture[140 * zoom, 250 * zoom]
    assert np.abs(first.astype(int) - second).max() > 60


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int32"])
@pytest.mark.parametrize("shape", [(30, 50), (30, 50, 3)])
def test_every_kind_of_image(
    tmp_path: Path, dtype: str, shape: tuple[int, ...], overlapping: Instances
) -> None:
    write_overlay(
        tmp_path / "a.png",
        _grey(shape).astype(dtype),
        overlapping,
        categories=_CATEGORIES,
        pixel_size=0.65,
    )
    picture = read_image(tmp_path / "a.png").to_array()
    assert picture.dtype == np.uint8
    assert picture.shape == (240, 400, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


def test_no_objects_leave_the_image_alone() -> None:
    image = _grey()
    picture = draw_overlay(image, Instances.empty((30, 50)), categories=_CATEGORIES)
    assert (picture[..., 0] == picture[..., 1]).all()


def test_huge_images_are_not_enlarged() -> None:
    image = _grey((1000, 3000))
    assert draw_overlay(image, Instances.empty((1000, 3000))).shape == (1000, 3000, 3)


def test_whole_slides_are_reduced() -> None:
    image = np.random.default_rng(0).integers(0, 255, (7, 10_001)).astype(np.uint8)
    labels = np.pad(np.ones((7, 900), int), ((0, 0), (9000, 101)))
    objects = Instances.from_masks(CropMasks.from_labels(labels)[0])
    picture = draw_overlay(image, objects, fill=1.0, legend=False)
    assert picture.shape == (3, 3334, 3)
    coloured = np.ptp(picture[1].astype(int), axis=-1) > 30
    assert np.flatnonzero(coloured).min() in range(2995, 3002)


def test_contrast_ignores_a_few_hot_pixels() -> None:
    image = np.tile(np.linspace(1000, 1100, 500), (300, 1)).astype(np.uint16)
    image[5, 5] = 65535
    stretched = stretch_contrast(image)
    assert stretched[:, 0].max() == 0
    assert np.abs(stretched[100, 250].astype(int) - 128) < 5
    assert (stretch_contrast(np.zeros((9, 9))) == 128).all()


@pytest.mark.parametrize(("factor", "offset"), [(1e-20, 0.0), (1e300, 0.0), (1.0, 1e12)])
def test_contrast_of_numbers_that_float32_cannot_tell_apart(factor: float, offset: float) -> None:
    scene = np.arange(256.0).reshape(16, 16)
    np.testing.assert_allclose(
        stretch_contrast(scene * factor + offset), stretch_contrast(scene), atol=1
    )


def test_sizes_must_agree(overlapping: Instances) -> None:
    with pytest.raises(ValueError, match="objects lie on"):
        draw_overlay(_grey((50, 30)), overlapping)


def test_outlines_run_along_the_border() -> None:
    discs = _discs()
    (line,) = smooth_outlines(discs.masks, 0)
    radius = np.hypot(line[:, 0] - 70.5, line[:, 1] - 60.5)
    assert np.abs(radius - 30).max() < 1
    assert len(smooth_outlines(discs.masks, 1)) == 2


@pytest.mark.parametrize("area", [1, 2])
def test_tiny_and_empty_masks_have_outlines_too(area: int) -> None:
    stack = np.zeros((2, 9, 9), bool)
    stack[0, 4, 4 : 4 + area] = True
    masks = CropMasks.from_full(stack)
    (line,) = smooth_outlines(masks, 0)
    assert line.min(axis=0).tolist() == [4.0, 4.0]
    assert line.max(axis=0).tolist() == [4.0 + area, 5.0]
    assert smooth_outlines(masks, 1) == []
