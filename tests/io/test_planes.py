"""From any array to planes a network can look at, and the pixels that are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dask.array
import numpy as np
import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.images import channel_count, image_from_array, plane_shape, planes

if TYPE_CHECKING:
    from napari_sartorius.core.channels import ChannelChoice

_RANDOM = np.random.default_rng(1)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((20, 30), "YX"),
        ((20, 30, 3), "YXS"),
        ((5, 20, 30), "TYX"),
        ((5, 20, 30, 4), "TYXS"),
        ((2, 5, 20, 30), "TZYX"),
        ((20, 30, 2), "YXS"),
        ((20, 30, 1), "YXS"),
        ((5, 20, 30, 2), "TYXS"),
    ],
)
def test_axes_are_guessed_from_the_shape(shape: tuple[int, ...], axes: str) -> None:
    assert image_from_array(np.zeros(shape)).axes == axes


def test_a_thin_volume_is_colour_only_when_said_so() -> None:
    array = np.zeros((20, 30, 3))
    assert image_from_array(array, rgb=False).axes == "TYX"


def test_channel_choice_of_colours() -> None:
    array = _RANDOM.integers(0, 256, (20, 30, 4)).astype(np.uint8)
    image = image_from_array(array, rgb=True)
    ((index, plane),) = planes(image)
    assert index == ()
    np.testing.assert_array_equal(plane, array[..., :3])
    ((_, plane),) = planes(image, 1)
    np.testing.assert_array_equal(plane, array[..., 1])
    ((_, plane),) = planes(image, "luminance")
    expected = 0.299 * array[..., 0] + 0.587 * array[..., 1] + 0.114 * array[..., 2]
    assert plane.dtype == np.float32
    np.testing.assert_allclose(plane, expected, rtol=1e-5)


def test_channel_choice_of_a_channel_axis() -> None:
    array = _RANDOM.normal(size=(6, 2, 20, 30)).astype(np.float32)
    image = image_from_array(array, axes="TCYX")
    assert channel_count(image) == 2
    assert plane_shape(image) == (6,)
    np.testing.assert_array_equal([p for _, p in planes(image)], array[:, 0])
    np.testing.assert_array_equal([p for _, p in planes(image, 1)], array[:, 1])
    np.testing.assert_allclose(
        [p for _, p in planes(image, "luminance")], array.mean(axis=1), rtol=1e-5
    )


def test_axes_in_any_order() -> None:
    array = _RANDOM.normal(size=(30, 4, 20))
    image = image_from_array(array, axes="XTY")
    np.testing.assert_array_equal([p for _, p in planes(image)], array.transpose(1, 2, 0))


def test_grey_with_transparency_is_grey() -> None:
    array = _RANDOM.integers(0, 256, (20, 30, 2)).astype(np.uint8)
    ((_, plane),) = planes(image_from_array(array, axes="YXS"))
    np.testing.assert_array_equal(plane, array[..., 0])


def test_dask_is_computed_plane_by_plane() -> None:
    computed = []

    def load(block_info: object = None) -> np.ndarray:
        computed.append(1)
        return _RANDOM.normal(size=(1, 20, 30))

    lazy = dask.array.map_blocks(
        load, chunks=((1,) * 8, (20,), (30,)), dtype=float, meta=np.empty((0, 0, 0))
    )
    walk = planes(image_from_array(lazy))
    computed.clear()
    next(walk)
    assert len(computed) == 1


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((20, 30), np.complex64), "complex"),
        (np.full((20, 30), np.nan), "NaN"),
        (np.where(np.eye(20) > 0, np.inf, 1.0), "NaN or infinite"),
        (np.zeros((20, 30)), "blank"),
        (np.ones((1, 1)), "only 1 x 1"),
    ],
)
def test_unusable_pixels_are_refused(array: np.ndarray, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        list(planes(image_from_array(array, name="my layer")))
    assert "my layer" in str(caught.value)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 2, 2, 20, 30)), "5 dimensions"),
        (np.zeros(30), "1 dimensions"),
        (np.zeros((0, 30)), "no pixels"),
        (np.array([["a", "b"]]), "expected numbers"),
        (np.array([[None, 1]]), "expected numbers"),
    ],
)
def test_what_is_no_image_is_refused(array: np.ndarray, words: str) -> None:
    with pytest.raises(UserError, match=words):
        image_from_array(array, name="my layer")


@pytest.mark.parametrize("channel", ["auto", "luminance"])
@pytest.mark.parametrize("axes", ["YX", "YXS", "CYX"])
def test_numbers_that_float32_cannot_tell_apart_are_made_smaller(
    axes: str, channel: ChannelChoice
) -> None:
    scene = np.arange(256, dtype=np.uint32).reshape(16, 16)
    grey = {"YX": scene, "YXS": np.dstack([scene] * 3), "CYX": np.stack([scene] * 3)}[axes]
    image = image_from_array(grey + np.uint32(4_000_000_000), axes=axes)
    ((_, plane),) = planes(image, channel)
    assert plane.dtype == np.float32
    seen = plane[..., 0] if plane.ndim == 3 else plane
    np.testing.assert_allclose(seen * 255, scene, atol=1e-3)


def test_the_place_of_a_nan_is_named() -> None:
    array = _RANDOM.normal(size=(3, 20, 30))
    array[1, 4, 5] = np.nan
    walk = planes(image_from_array(array))
    next(walk)
    with pytest.raises(UserError, match=r"1 NaN .* plane \(1,\), y=4, x=5"):
        next(walk)


def test_a_blank_plane_in_a_stack_passes() -> None:
    array = _RANDOM.normal(size=(3, 20, 30))
    array[0] = 0
    assert len(list(planes(image_from_array(array)))) == 3


@pytest.mark.parametrize(
    ("shape", "axes", "channel"), [((20, 30), "YX", 1), ((3, 20, 30), "CYX", 3), ((9, 9), "YX", -1)]
)
def test_a_missing_channel_is_named(shape: tuple[int, ...], axes: str, channel: int) -> None:
    image = image_from_array(_RANDOM.normal(size=shape), axes=axes)
    with pytest.raises(UserError, match=f"channel {channel} was asked for"):
        list(planes(image, channel))
