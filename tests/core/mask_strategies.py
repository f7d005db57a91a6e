"""Random masks for property tests, as full-frame stacks that a naive reference can work on."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

Stack = NDArray[np.bool_]


@st.composite
def stacks(draw: st.DrawFn, max_count: int = 6, max_side: int = 12) -> Stack:
    """(N, H, W) masks: speckle, rectangles that reach the border, hollow frames, empty and full."""
    height, width = draw(st.integers(1, max_side)), draw(st.integers(1, max_side))
    return draw(stacks_of_size(height, width, max_count))


@st.composite
def stacks_of_size(draw: st.DrawFn, height: int, width: int, max_count: int = 6) -> Stack:
    masks = [draw(one_mask(height, width)) for _ in range(draw(st.integers(0, max_count)))]
    return np.stack(masks) if masks else np.zeros((0, height, width), np.bool_)


@st.composite
def one_mask(draw: st.DrawFn, height: int, width: int) -> Stack:
    kind = draw(st.sampled_from(["speckle", "rectangle", "frame", "empty", "full"]))
    if kind == "speckle":
        return draw(hnp.arrays(np.bool_, (height, width)))
    mask = np.zeros((height, width), np.bool_)
    if kind == "full":
        mask[:] = True
    elif kind in ("rectangle", "frame"):
        y0, y1 = sorted(draw(st.tuples(st.integers(0, height), st.integers(0, height))))
        x0, x1 = sorted(draw(st.tuples(st.integers(0, width), st.integers(0, width))))
        mask[y0:y1, x0:x1] = True
        if kind == "frame":
            mask[y0 + 1 : max(y1 - 1, y0 + 1), x0 + 1 : max(x1 - 1, x0 + 1)] = False
    return mask
