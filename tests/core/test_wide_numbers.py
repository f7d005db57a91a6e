"""Numbers that float32 cannot tell apart are brought to where it can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sartorius.core.normalise import Normalisation, normalise
from napari_sartorius.core.wide_numbers import for_float32

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCENE = np.random.default_rng(0).integers(0, 256, (40, 30)).astype(np.uint8)
SCENE.flat[:2] = 0, 255


def _of(kind: str) -> NDArray[Any]:
    floats = SCENE.astype(np.float64)
    made: dict[str, NDArray[Any]] = {
        "counts from 4e9": np.uint32(4_000_000_000) + SCENE.astype(np.uint32),
        "counts from the end": np.uint64(2**64 - 300) + SCENE.astype(np.uint64),
        "counts from below": np.int64(-(2**62)) + SCENE.astype(np.int64),
        "an offset of 1e12": floats + 1e12,
        "tiny": floats * 1e-20,
        "tiny float32": (floats * 1e-42).astype(np.float32),
        "nearly 0": floats * 1e-310,
        "huge": floats * 1e300,
        "from end to end": (floats - 127.5) * 1.4e306,
        "tiny float16": (floats * 6e-8).astype(np.float16) / np.float16(16),
    }
    return made[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "counts from 4e9",
        "counts from the end",
        "counts from below",
        "an offset of 1e12",
        "tiny",
        "nearly 0",
        "huge",
        "from end to end",
    ],
)
def test_the_same_scene_whatever_the_numbers(kind: str) -> None:
    image = _of(kind)
    before = image.copy()
    with np.errstate(all="raise", under="ignore"):
        tamed = for_float32(image)
    assert tamed.dtype == np.float32
    assert (tamed.min(), tamed.max()) == (0, 1)
    np.testing.assert_allclose(tamed * 255, SCENE, atol=2e-3)
    seen = normalise(tamed, Normalisation())
    np.testing.assert_allclose(seen, normalise(SCENE, Normalisation()), atol=1e-3)
    np.testing.assert_array_equal(image, before)


def test_numbers_of_few_digits_keep_their_order() -> None:
    tamed = for_float32(_of("tiny float32"))
    assert (tamed.min(), tamed.max()) == (0, 1)
    assert (np.diff(tamed.ravel()[np.argsort(SCENE.ravel(), kind="stable")]) >= 0).all()


@pytest.mark.parametrize(
    "image",
    [
        SCENE,
        SCENE.astype(np.uint16) // 16 + np.uint16(30_000),
        SCENE.astype(np.int32) * -1000,
        SCENE.astype(np.float32) / 255,
        SCENE.astype(np.float64) * 1e10,
        SCENE > 100,
        np.full((3, 3), 1e300),
        np.array([[1e300, np.nan]]),
        np.array([[1e300, np.inf]]),
        np.array([[1e300 + 1j]]),
        np.zeros((0, 3)),
    ],
    ids=lambda image: str(image.dtype),
)
def test_other_pixels_are_given_back_as_they_are(image: NDArray[Any]) -> None:
    assert for_float32(image) is image
