"""What a network knows of an object beside its score travels with it to the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_sartorius.core.views import View
from napari_sartorius.ensemble.mean_of_views import fuse_views
from napari_sartorius.inference.views import look_back
from napari_sartorius.nn.detector import Detections

if TYPE_CHECKING:
    from napari_sartorius.core.found import Found


def _found(scores: list[float], extra: list[float]) -> Found:
    count = len(scores)
    boxes = torch.arange(count)[:, None] * 20.0 + torch.tensor([[0.0, 0, 10, 10]])
    return Detections(
        boxes,
        torch.tensor(scores),
        torch.zeros(count, dtype=torch.int64),
        torch.ones(count, 4, 4),
        False,
        {"mask_score": torch.tensor(extra)},
    ).on_host()


def test_columns_follow_their_objects() -> None:
    found = _found([0.9, 0.8, 0.7], [0.5, 0.6, 0.1])
    np.testing.assert_allclose(found[np.array([2, 0])].columns["mask_score"], [0.1, 0.5])
    back = look_back(found, View("both"), (100, 100))
    np.testing.assert_allclose(back.columns["mask_score"], [0.5, 0.6, 0.1])
    one, _ = fuse_views([found], lambda scores, labels: scores > 0.75)
    np.testing.assert_allclose(one.columns["mask_score"], [0.5, 0.6])


@pytest.mark.parametrize("keep", [None, lambda scores, labels: scores > 0.5])
def test_columns_of_several_views_are_averaged_as_boxes_are(keep: object) -> None:
    first, second = _found([0.9, 0.8, 0.2], [0.6, 0.4, 0.3]), _found([0.3, 0.8], [0.2, 0.2])
    fused, _ = fuse_views([first, second], keep)  # type: ignore[arg-type]
    # The best fused score first: 0.8 of both views, then 0.9 and 0.3.
    expected = [0.3, (0.9 * 0.6 + 0.3 * 0.2) / 1.2, 0.3]
    np.testing.assert_allclose(fused.columns["mask_score"], expected[: len(fused)], rtol=1e-5)
    assert len(fused) == (3 if keep is None else 2)
    nothing, _ = fuse_views([_found([], []), _found([], [])])
    assert nothing.columns["mask_score"].shape == (0,)
