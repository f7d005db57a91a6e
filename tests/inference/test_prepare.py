"""Every kind of image gives the network the same view, and unusable ones a clear sentence."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.normalise import Normalisation, normalise
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.prepare import network_view, prepare
from napari_sartorius.inference.tiling import Rectangle

if TYPE_CHECKING:
    from numpy.typing import NDArray

CARD = cast(
    "Any",
    SimpleNamespace(
        name="m",
        cell_diameter=20.0,
        pixel_size=None,
        input_channels=1,
        normalisation=Normalisation(),
        input_size=None,
        image_diameter=None,
        whole_grey_levels=False,
    ),
)


@pytest.fixture(scope="module")
def grey() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 200, (70, 90), np.uint8)


def test_equals_normalising_the_whole(grey: NDArray[np.uint8]) -> None:
    prepared = prepare(grey, CARD, SegmentConfig())
    window = prepared.window(Rectangle(10, 20, 50, 90))
    np.testing.assert_allclose(
        window[..., 0], normalise(grey, CARD.normalisation)[10:50, 20:90], atol=1e-6
    )


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_number_type_does_not_matter(grey: NDArray[np.uint8], dtype: type) -> None:
    expected = network_view(grey, CARD, SegmentConfig())
    seen = network_view(grey.astype(dtype) * dtype(100), CARD, SegmentConfig())
    np.testing.assert_allclose(seen, expected, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_grey_stored_as_colour_looks_grey(grey: NDArray[np.uint8], channels: int) -> None:
    stored = np.repeat(grey[..., None], channels, axis=2)
    if channels in (2, 4):
        stored[..., -1] = 255
    seen = network_view(stored, CARD, SegmentConfig())
    np.testing.assert_allclose(seen, network_view(grey, CARD, SegmentConfig()), atol=1e-3)


def test_one_channel_of_many(grey: NDArray[np.uint8]) -> None:
    stack = np.stack([grey, grey[::-1], grey[:, ::-1], grey, grey, 200 - grey], axis=2)
    seen = network_view(stack, CARD, SegmentConfig(channel=2))
    np.testing.assert_array_equal(
        seen, network_view(np.ascontiguousarray(grey[:, ::-1]), CARD, SegmentConfig())
    )


def test_of_a_plane_without_channels_nothing_is_chosen_again(grey: NDArray[np.uint8]) -> None:
    for choice in (2, "luminance", "hematoxylin"):
        config = SegmentConfig(channel=choice)
        seen = network_view(grey, CARD, config)
        np.testing.assert_array_equal(seen, network_view(grey, CARD, SegmentConfig()))


def test_luminance_for_a_colour_model(grey: NDArray[np.uint8]) -> None:
    colour_card = SimpleNamespace(**(vars(CARD) | {"input_channels": 3}))
    image = np.stack([grey, grey // 2, grey // 3], axis=2)
    seen = network_view(image, cast("Any", colour_card), SegmentConfig(channel="luminance"))
    assert seen.shape == (70, 90, 3)
    np.testing.assert_array_equal(seen[..., 0], seen[..., 2])
    auto = network_view(image, cast("Any", colour_card), SegmentConfig())
    assert not np.array_equal(auto[..., 0], auto[..., 2])


def test_fixed_normalisation_of_16_bit_colour() -> None:
    normalisation = replace(CARD.normalisation, method="fixed", mean=128.0, std=64.0)
    card = SimpleNamespace(**(vars(CARD) | {"normalisation": normalisation}))
    image = np.full((4, 4, 3), 65535, np.uint16)
    seen = network_view(image, cast("Any", card), SegmentConfig())
    np.testing.assert_allclose(seen, (255 - 128) / 64, rtol=1e-3)


def test_constant_image_is_zero() -> None:
    assert not network_view(np.full((9, 9), 77, np.uint8), CARD, SegmentConfig()).any()


def test_scale_changes_the_size(grey: NDArray[np.uint8]) -> None:
    assert network_view(grey, CARD, SegmentConfig(diameter=40.0)).shape == (35, 45, 1)


@pytest.mark.parametrize(
    ("image", "config", "words"),
    [
        (np.zeros((0, 5)), {}, "no pixels"),
        (np.zeros((2, 2, 2, 2, 2)), {}, "5 axes"),
        (np.zeros(4), {}, "1 axes"),
        (np.zeros((4, 4), np.complex64), {}, "complex64"),
        (np.array([["a"]]), {}, "cannot be segmented"),
        (np.full((600, 4), np.nan), {}, "NaN"),
        (np.array([[0.0, np.inf]]), {}, "NaN or infinite"),
        (np.zeros((4, 4, 7)), {}, "7 channels"),
        (np.zeros((4, 4, 3)), {"channel": 3}, "channel 3"),
        (np.zeros((4, 4, 2)), {"channel": 2}, "channel 2"),
    ],
)
def test_unusable_images(image: Any, config: dict[str, int], words: str) -> None:
    with pytest.raises(UserError, match=words):
        prepare(image, CARD, SegmentConfig.model_validate(config))


def test_a_nan_in_the_last_row_is_found() -> None:
    image = np.zeros((1500, 3), np.float32)
    image[-1, -1] = np.nan
    with pytest.raises(UserError, match="NaN"):
        prepare(image, CARD, SegmentConfig())


def test_blue_first_with_a_mean_for_each_channel() -> None:
    normalisation = Normalisation(
        method="fixed", mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 4.0), channel_order="BGR"
    )
    card = SimpleNamespace(**(vars(CARD) | {"input_channels": 3, "normalisation": normalisation}))
    red_green_blue = np.zeros((5, 6, 3), np.uint8) + np.array([100, 50, 40], np.uint8)
    seen = network_view(red_green_blue, cast("Any", card), SegmentConfig())
    np.testing.assert_allclose(seen[2, 3], [(40 - 10) / 1, (50 - 20) / 2, (100 - 30) / 4])
    grey = network_view(red_green_blue[..., 0], cast("Any", card), SegmentConfig())
    np.testing.assert_allclose(grey[2, 3], [90, 40, 17.5])


@pytest.mark.parametrize(
    ("image", "dark"),
    [
        (np.full((9, 9), 4095, np.uint16), True),
        (np.full((9, 9), 60000, np.uint16), False),
        (np.full((9, 9), 0.9, np.float32), True),
        (np.full((9, 9), 200.0, np.float32), False),
        (np.full((9, 9), 3, np.uint8), False),
    ],
)
def test_a_model_of_fixed_grey_levels_says_when_an_image_looks_black_to_it(
    image: NDArray[Any], dark: bool
) -> None:
    fixed = SimpleNamespace(
        **(vars(CARD) | {"normalisation": Normalisation(method="fixed", mean=120.0, std=1.0)})
    )
    notices = prepare(image, cast("Any", fixed), SegmentConfig()).notices
    assert [("almost black" in notice) for notice in notices] == [True] * dark
    assert not prepare(image, CARD, SegmentConfig()).notices


def test_brown_tissue_brings_a_hint_until_a_channel_is_chosen() -> None:
    tissue = np.full((60, 60, 3), 240, np.uint8)
    tissue[:20] = (150, 100, 60)
    card = cast("Any", SimpleNamespace(**(vars(CARD) | {"input_channels": 3})))
    assert "hematoxylin" in prepare(tissue, card, SegmentConfig()).notices[0]
    assert not prepare(tissue, card, SegmentConfig(channel="hematoxylin")).notices
    assert not prepare(tissue, card, SegmentConfig(min_score=0.2)).notices
    assert not prepare(tissue, CARD, SegmentConfig()).notices
