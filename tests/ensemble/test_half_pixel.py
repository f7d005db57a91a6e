"""Our networks need no half-pixel shift in flipped views, and it would do harm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from napari_sartorius.core.normalise import measure
from napari_sartorius.ensemble.join import join
from napari_sartorius.ensemble.stage_config import StageMeansConfig
from napari_sartorius.nn.config import PoolerConfig
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.nn.pooling import pool_boxes
from napari_sartorius.samples.phase_contrast import phase_contrast_scene
from napari_sartorius.zoo import find_bundle

if TYPE_CHECKING:
    from napari_sartorius.ensemble.sight import Sight
    from napari_sartorius.nn.keep_best import BestBoxes

SIZE = (160, 192)


@pytest.mark.parametrize(("aligned", "same"), [(True, True), (False, False)])
def test_aligned_pooling_of_a_flipped_map_is_flipped_pooling(aligned: bool, same: bool) -> None:
    torch.manual_seed(0)
    level = torch.randn(1, 4, 24, 40)
    boxes = torch.tensor([[4.0, 6, 30, 40], [10.5, 3.2, 79, 47.1], [33, 20, 41, 27]])
    mirrored = torch.stack([80 - boxes[:, 2], boxes[:, 1], 80 - boxes[:, 0], boxes[:, 3]], dim=1)
    config = PoolerConfig(resolution=7, sampling_ratio=2, aligned=aligned)
    pooled = pool_boxes([level], (2,), [boxes], config)
    flipped = pool_boxes([level.flip(3)], (2,), [mirrored], config).flip(3)
    assert torch.allclose(pooled, flipped, atol=1e-4) == same


def test_the_heads_of_a_trained_network_say_the_same_of_flipped_boxes() -> None:
    bundle = find_bundle("neurons")
    network: Any = bundle.load_network("cpu", for_inference=True, precision="float32")
    scene, _ = phase_contrast_scene(SIZE, 1, cells=24)
    pixels = measure(scene[..., None], bundle.card.normalisation).apply(scene[..., None])
    batch = torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()
    views = ("identity", "horizontal", "vertical")
    drift, masks = {}, {}
    for shifted in (False, True):
        joined = join([network], StageMeansConfig(views=views, half_pixel_shift=shifted))
        with torch.inference_mode():
            plain, *flipped = joined.look(batch, [SIZE])
            (best,) = network.find_boxes(plain.features, [SIZE], DetectLimits(0.3))
            assert len(best.boxes) > 10
            drift[shifted] = max(
                _drift(plain, one, best.boxes, axis) for axis, one in enumerate(flipped)
            )
            masks[shifted] = max(
                float((_masks(one, best) - _masks(plain, best)).abs().mean()) for one in flipped
            )
    assert drift[False] < 0.15
    assert drift[True] > 0.2
    assert masks[False] < 0.85 * masks[True]


def _drift(plain: Sight, flipped: Sight, boxes: torch.Tensor, axis: int) -> float:
    """Mean way along x (0) or y (1) that refined boxes lie beside those of the plain view."""
    ours, theirs = (s.score([boxes])[0][0].boxes[:, 0] for s in (flipped, plain))
    return abs(float((ours - theirs)[:, [axis, axis + 2]].mean()))


def _masks(sight: Sight, best: BestBoxes) -> torch.Tensor:
    return sight.draw([best.boxes], [best.labels])[0][0]
