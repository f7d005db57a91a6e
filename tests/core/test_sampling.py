"""Some of many are spread over all of them."""

from __future__ import annotations

import pytest

from napari_sartorius.core.sampling import spread_over


@pytest.mark.parametrize(
    ("most", "chosen"),
    [
        (None, "abcdefg"),
        (9, "abcdefg"),
        (7, "abcdefg"),
        (3, "adg"),
        (2, "ag"),
        (1, "a"),
    ],
)
def test_items_are_spread(most, chosen):
    assert spread_over(list("abcdefg"), most) == list(chosen)
