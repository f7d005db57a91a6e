"""The job behind pointing at a cell, with tiny networks of every family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sartorius.engine.context import WorkerContext
from napari_sartorius.engine.jobs import warm_segmenter
from napari_sartorius.engine.prompt_jobs import PromptJob, warm_prompter
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.prepare import prepare
from napari_sartorius.inference.prompt import Prompt, window_around
from napari_sartorius.nn.config import (
    AttentiveMaskHeadConfig,
    BoxHeadConfig,
    CascadeMaskRCNNConfig,
    CenterMaskConfig,
    FCOSConfig,
    GridConfig,
    GridHeadConfig,
    HTCConfig,
    MaskFeatureConfig,
    MaskHeadConfig,
    PyramidConfig,
    SemanticConfig,
    SOLOv2Config,
    TopPyramidConfig,
    TrunkConfig,
)
from tiny_models import save_tiny_bundle, tiny_architecture

if TYPE_CHECKING:
    from pathlib import Path

_COMMON: dict[str, Any] = {
    "num_classes": 2,
    "trunk": TrunkConfig(name="resnet18", widths=(16, 16, 16, 16)),
}
_HEADS: dict[str, Any] = {
    "pyramid": PyramidConfig(width=8),
    "box_head": BoxHeadConfig(width=16, layers=1),
    "mask_head": MaskHeadConfig(width=8, layers=1),
}
FAMILIES: dict[str, Any] = {
    "mask_rcnn": tiny_architecture(),
    "cascade": CascadeMaskRCNNConfig(**_COMMON, **_HEADS),
    "htc": HTCConfig(**_COMMON, **_HEADS, semantic=SemanticConfig(layers=1)),
    "centermask": CenterMaskConfig(
        **_COMMON,
        pyramid=TopPyramidConfig(width=16),
        fcos=FCOSConfig(class_layers=1, box_layers=1, groups=4, candidate_score=0.0),
        mask_head=AttentiveMaskHeadConfig(width=8, layers=1),
    ),
    "solov2": SOLOv2Config(
        **_COMMON,
        pyramid=PyramidConfig(width=16),
        grids=(GridConfig(stride=8, objects=(0, 32)), GridConfig(stride=16, objects=(24, 1e5))),
        head=GridHeadConfig(layers=2, width=16, groups=4),
        mask_feature=MaskFeatureConfig(width=16, channels=16, groups=4),
        mask_side=28,
    ),
}
SIZE = (120, 150)


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(points=((60.5, 70.5),)),
        Prompt(box=(40.0, 30.0, 80.0, 70.0), category="small"),
        Prompt(box=(40.0, 30.0, 80.0, 70.0), points=((75.5, 60.5),), outside=((35.5, 45.5),)),
    ],
)
def test_every_family_answers(tmp_path: Path, family: str, prompt: Prompt) -> None:
    bundle = save_tiny_bundle(tmp_path / family, name=family, architecture=FAMILIES[family])
    image = np.random.default_rng(0).integers(0, 255, SIZE, np.uint8)
    config = SegmentConfig(model=str(bundle.path), device="cpu")
    window = window_around(prepare(image, bundle.card, config), prompt, 10.0)
    context = WorkerContext()
    answer = PromptJob(window, prompt, config).run(context)
    assert answer.found.image_size == SIZE
    assert len(answer.found) == 1 or family == "solov2"
    if len(answer.found):
        assert answer.category == (prompt.category or answer.category)
        assert 0 <= answer.found.scores[0] <= 1
        assert answer.found.masks.area()[0] > 0
    again = PromptJob(window, prompt, config).run(context)
    np.testing.assert_array_equal(again.found.masks.bits, answer.found.masks.bits)


def test_the_network_that_segments_is_the_one_that_answers(tmp_path: Path) -> None:
    bundle = save_tiny_bundle(tmp_path / "tiny")
    config = SegmentConfig(model=str(bundle.path), device="cpu")
    context = WorkerContext()
    segmenter = warm_segmenter(context.cache, config)
    prompter = warm_prompter(context.cache, config)
    assert prompter.looks._network is segmenter._detector
    assert warm_prompter(context.cache, config).looks is prompter.looks
