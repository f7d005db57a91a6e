"""Which colours a network is shown, and the stain that shows nuclei."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2hed

from napari_sartorius.core.channels import choose_colours, hematoxylin, looks_brown
from napari_sartorius.core.errors import UserError

_BLUE_DYE = (0.65, 0.70, 0.29)
_BROWN_DYE = (0.27, 0.57, 0.78)


def _stained(blue: float, brown: float) -> tuple[float, ...]:
    """Colour of white light behind these amounts of the two dyes."""
    return tuple(
        float(np.exp(-blue * b - brown * d)) for b, d in zip(_BLUE_DYE, _BROWN_DYE, strict=True)
    )


def test_hematoxylin_equals_scikit_image() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    ours = hematoxylin(picture) / 255
    theirs = rgb2hed(picture)[..., 0]  # which cuts at zero
    np.testing.assert_allclose(np.maximum(ours, 0), theirs, atol=2e-5)
    assert ours.min() < 0


def test_brown_over_a_nucleus_does_not_hide_it() -> None:
    picture = np.array([[_stained(0.8, 0), _stained(0.8, 1.5), _stained(0, 1.5), _stained(0, 0)]])
    nucleus, under_brown, brown, glass = hematoxylin(picture)[0]
    assert nucleus == pytest.approx(under_brown, rel=1e-3)
    assert brown == pytest.approx(glass, abs=1e-3)
    assert nucleus > 10 * max(brown, 1e-3)


def test_the_stain_does_not_depend_on_the_bit_depth() -> None:
    eight = np.random.default_rng(1).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    sixteen = eight.astype(np.uint16) * 257
    np.testing.assert_allclose(hematoxylin(eight), hematoxylin(sixteen), atol=1e-3)
    np.testing.assert_allclose(hematoxylin(eight), hematoxylin(eight / 255), atol=1e-3)


@pytest.mark.parametrize(
    ("choice", "shape"),
    [("auto", (5, 6, 3)), ("luminance", (5, 6)), ("hematoxylin", (5, 6)), (1, (5, 6))],
)
def test_choices_of_a_colour_image(choice: str | int, shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (5, 6, 4), dtype=np.uint8)
    chosen = choose_colours(picture, choice)  # type: ignore[arg-type]
    assert chosen.shape == shape
    if choice == 1:
        np.testing.assert_array_equal(chosen, picture[..., 1])


def test_a_grey_image_has_no_stains() -> None:
    with pytest.raises(UserError, match="colour image"):
        choose_colours(np.zeros((5, 6, 1), np.uint8), "hematoxylin")


def test_brown_tissue_is_told_from_other_pictures() -> None:
    brown = np.full((60, 60, 3), 240, np.uint8)
    brown[:20] = (150, 100, 60)
    assert looks_brown(brown)
    assert looks_brown(brown.astype(np.uint16) * 257)
    assert looks_brown(brown / 255)
    purple = np.full((60, 60, 3), 240, np.uint8)
    purple[:20] = (120, 80, 150)
    for other in (purple, brown // 3, brown[..., :1], brown[25:]):
        assert not looks_brown(other)
