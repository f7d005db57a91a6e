"""What the network sees does not depend on how the percentiles were counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sartorius.core.normalise import Normalisation, measure

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (40, 30, 3), (600, 700)])
def test_counted_percentiles_are_those_of_sorted_pixels(
    dtype: type[np.unsignedinteger], shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    image: NDArray[np.unsignedinteger] = rng.normal(90, 40, shape).clip(0, 255).astype(dtype)
    for low, high in ((0.0, 100.0), (1.0, 99.0), (0.3, 71.7)):
        wanted = Normalisation(method="percentile", low=low, high=high)
        counted, sorted_out = (measure(one, wanted) for one in (image, image.astype(np.float32)))
        assert counted.offset == pytest.approx(sorted_out.offset, rel=1e-6)
        assert counted.gain == pytest.approx(sorted_out.gain, rel=1e-6)


def test_a_constant_image_becomes_zero() -> None:
    image = np.full((5, 5), 200, np.uint16)
    scaling = measure(image, Normalisation())
    assert not scaling.apply(image).any()
