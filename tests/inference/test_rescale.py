"""Rescaling: the right factor for the user's words, and windows that equal the whole."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.rescale import Rescaler, choose_scale
from napari_sartorius.inference.tiling import Rectangle
from napari_sartorius.zoo import InputSize

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _card(pixel_size: float | None = 0.5, input_size: InputSize | None = None) -> Any:
    return cast(
        "Any",
        SimpleNamespace(
            name="m",
            cell_diameter=20.0,
            pixel_size=pixel_size,
            input_size=input_size,
            image_diameter=None,
        ),
    )


def _window(rescaler: Rescaler, pixels: NDArray[Any], part: Rectangle) -> NDArray[Any]:
    return rescaler.window(lambda r: pixels[r.y0 : r.y1, r.x0 : r.x1], part)


@pytest.mark.parametrize("factor", [0.3, 0.5, 0.83, 1.7, 2.0, 3.1])
def test_equals_torch_antialiased(factor: float) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (61, 87, 1), np.uint8)
    rescaler = Rescaler((61, 87), factor)
    height, width = rescaler.size
    ours = _window(rescaler, pixels, Rectangle(0, 0, height, width))
    theirs = interpolate(
        torch.from_numpy(pixels[None, ..., 0].astype(np.float32))[None],
        size=rescaler.size,
        mode="bilinear",
        antialias=True,
        align_corners=False,
    )
    np.testing.assert_allclose(ours[..., 0], theirs[0, 0].numpy(), atol=2e-3)


@pytest.mark.parametrize("factor", [0.4, 1.0, 2.3])
def test_windows_equal_the_whole(factor: float) -> None:
    pixels = np.random.default_rng(1).random((120, 90, 3)).astype(np.float32)
    rescaler = Rescaler((120, 90), factor)
    height, width = rescaler.size
    whole = _window(rescaler, pixels, Rectangle(0, 0, height, width))
    part = Rectangle(height // 3, width // 4, height - 3, width)
    window = _window(rescaler, pixels, part)
    np.testing.assert_array_equal(window, whole[part.y0 : part.y1, part.x0 : part.x1])


def test_factor_one_leaves_pixels_untouched() -> None:
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4, 1)
    window = _window(Rescaler((3, 4), 1.0), pixels, Rectangle(0, 0, 3, 4))
    assert np.shares_memory(window, pixels)


def test_one_pixel_survives() -> None:
    rescaler = Rescaler((1, 1), 0.125)
    assert rescaler.size == (1, 1)
    assert _window(rescaler, np.full((1, 1, 1), 7.0), Rectangle(0, 0, 1, 1)).item() == 7.0


@pytest.mark.parametrize(
    ("values", "file_size", "factor", "words"),
    [
        ({}, None, 1.0, None),
        ({"diameter": 40.0}, None, 0.5, None),
        ({"diameter": 40.0, "pixel_size": 1.0}, 2.0, 0.5, None),
        ({"pixel_size": 1.0}, None, 2.0, None),
        ({}, 0.25, 0.5, None),
        ({}, 0.505, 1.0, None),
        ({"diameter": 1.0}, None, 8.0, "limited to 8"),
        ({"pixel_size": 0.001}, None, 0.125, "limited to 0.125"),
        ({}, 352.0, 1.0, "implausible"),
    ],
)
def test_choice(
    values: dict[str, float], file_size: float | None, factor: float, words: str | None
) -> None:
    choice = choose_scale(_card(), SegmentConfig.model_validate(values), file_size)
    assert choice.factor == pytest.approx(factor)
    assert (choice.notice is None) == (words is None)
    if words is not None and choice.notice is not None:
        assert words in choice.notice


def test_a_model_without_pixel_size_says_so() -> None:
    choice = choose_scale(_card(None), SegmentConfig(pixel_size=0.3))
    assert choice.factor == 1.0
    assert choice.notice is not None
    assert "diameter" in choice.notice
    assert choose_scale(_card(None), SegmentConfig(), 0.3).notice is None


@pytest.mark.parametrize(
    ("image_size", "input_size", "network_size", "told"),
    [
        ((520, 704), InputSize(), (800, 1083), False),
        ((256, 320), InputSize(), (800, 1000), False),
        ((500, 1000), InputSize(), (667, 1333), False),
        ((1600, 2000), InputSize(), (800, 1000), False),
        ((4000, 4000), InputSize(), (800, 800), True),
        ((520, 704), InputSize(short_edge=600, long_edge=1000), (600, 812), False),
    ],
)
def test_input_size_is_what_happens_when_nobody_names_a_size(
    image_size: tuple[int, int], input_size: InputSize, network_size: tuple[int, int], told: bool
) -> None:
    choice = choose_scale(_card(None, input_size), SegmentConfig(), None, image_size)
    assert Rescaler(image_size, choice.factor).size == network_size
    assert (choice.notice is not None) == told
    if choice.notice is not None:
        assert "small cells may be missed" in choice.notice
    wished = choose_scale(_card(None, input_size), SegmentConfig(diameter=10), None, image_size)
    assert wished.factor == 2.0


@pytest.mark.parametrize("size", [(80, 100), (31, 44), (64, 53), (90, 60)])
def test_whole_grey_levels_are_those_of_pillow(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (64, 80, 3), np.uint8)
    rescaler = Rescaler((64, 80), 1.5, whole_grey_levels=True)
    rescaler.size = size
    theirs = np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(_window(rescaler, pixels, Rectangle(0, 0, *size)), theirs)
    part = Rectangle(size[0] // 3, 5, size[0] - 2, size[1] - 7)
    np.testing.assert_array_equal(
        _window(rescaler, pixels, part), theirs[part.y0 : part.y1, part.x0 : part.x1]
    )


def test_whole_grey_levels_leave_floats_alone() -> None:
    pixels = np.random.default_rng(3).random((20, 30, 1)).astype(np.float32)
    part = Rectangle(0, 0, 40, 60)
    np.testing.assert_array_equal(
        _window(Rescaler((20, 30), 2.0, whole_grey_levels=True), pixels, part),
        _window(Rescaler((20, 30), 2.0), pixels, part),
    )


@pytest.mark.parametrize("factor", [0.37, 0.6, 1.7])
def test_a_card_may_ask_for_single_pixels_and_rounding_down(factor: float) -> None:
    """As torch does with a scale factor and without antialiasing, and torchvision with it."""
    pixels = np.random.default_rng(0).integers(0, 255, (61, 87, 1), np.uint8)
    rescaler = Rescaler((61, 87), factor, rule=InputSize(rounding="down", antialias=False))
    theirs = interpolate(
        torch.from_numpy(pixels[None, ..., 0].astype(np.float32))[None],
        scale_factor=factor,
        recompute_scale_factor=True,
        mode="bilinear",
        align_corners=False,
    )
    assert rescaler.size == theirs.shape[-2:]
    ours = _window(rescaler, pixels, Rectangle(0, 0, *rescaler.size))
    np.testing.assert_allclose(ours[..., 0], theirs[0, 0].numpy(), atol=2e-3)
