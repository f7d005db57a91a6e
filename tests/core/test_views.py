"""Every view is what numpy says it is, and boxes follow its pixels."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sartorius.core.views import BoxMap, Flip, View

BY_NUMPY: dict[str, Any] = {
    "identity": lambda a: a,
    "horizontal": np.fliplr,
    "vertical": np.flipud,
    "both": lambda a: np.rot90(a, 2),
    "transpose": np.transpose,
    "rot90": np.rot90,
    "rot270": lambda a: np.rot90(a, 3),
    "anti_transpose": lambda a: np.rot90(a, 2).T,
}


def _seen(pixels: np.ndarray, view: View) -> np.ndarray:
    pixels = pixels.T if view.transposed else pixels
    rows, columns = (slice(None, None, -1 if r else 1) for r in _reversals(view))
    return np.asarray(pixels[rows, columns])


def _shown(box: np.ndarray, where: BoxMap) -> np.ndarray:
    return box[list(where.order)] * np.array(where.factor) + np.array(where.shift)


def _reversals(view: View) -> tuple[bool, bool]:
    return view.rows_reversed, view.columns_reversed


@pytest.mark.parametrize("flip", get_args(Flip))
def test_flips_are_those_of_numpy(flip: Flip) -> None:
    pixels = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(_seen(pixels, View(flip)), BY_NUMPY[flip](pixels))
    assert View(flip).seen_size((3, 4)) == BY_NUMPY[flip](pixels).shape


@given(
    flip=st.sampled_from(get_args(Flip)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    data=st.data(),
)
def test_boxes_follow_the_pixels_they_surround(
    flip: Flip, size: tuple[int, int], data: st.DataObject
) -> None:
    view = View(flip)
    y0, x0 = (data.draw(st.integers(0, side - 1)) for side in size)
    y1, x1 = (data.draw(st.integers(low + 1, s)) for low, s in zip((y0, x0), size, strict=True))
    image = np.zeros(size, bool)
    image[y0:y1, x0:x1] = True
    rows, columns = np.nonzero(_seen(image, view))
    where = view.box_map(size)
    box = np.array([x0, y0, x1, y1], np.float32)
    seen = _shown(box, where)
    expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_array_equal(seen, expected)
    back = (seen - np.array(where.shift)) / np.array(where.factor)
    np.testing.assert_array_equal(back[list(where.inverse_order)], box)


@pytest.mark.parametrize("text", ["identity", "rot90", "both@0.75", "anti_transpose@1.5"])
def test_views_are_written_as_they_are_read(text: str) -> None:
    assert str(View.parse(text)) == text
    assert View.parse(text) == View.parse(str(View.parse(text)))


@pytest.mark.parametrize("text", ["", "upside", "both@", "both@-1", "both@nan", "both@9", "@2"])
def test_what_is_no_view_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="view"):
        View.parse(text)


def test_a_scaled_view_maps_to_the_edges_of_its_whole_pixels() -> None:
    view, size = View("rot90", 1.5), (21, 33)
    assert view.seen_size(size) == (50, 32)
    where = view.box_map(size)
    whole = np.array([0, 0, 33, 21], np.float32)
    np.testing.assert_allclose(_shown(whole, where), [0, 0, 32, 50], atol=1e-5)
