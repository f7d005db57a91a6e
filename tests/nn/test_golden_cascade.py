"""The heads of the cascade against the outputs of the original on given boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from golden_weights import golden_weights
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.pooling import pool_boxes
from napari_sartorius.nn.stock import stock_cascade_mask_rcnn
from napari_sartorius.zoo.checkpoints.detectron2.names import renamed

if TYPE_CHECKING:
    from pathlib import Path

CASE = "cascade_mask_rcnn_r50_fpn"


@pytest.mark.slow
def test_stages_on_fixed_boxes_are_those_of_the_original(shared_golden: Path) -> None:
    golden = shared_golden / "networks"
    weights = golden_weights(golden, CASE, with_ignored=False)
    with torch.device("meta"):
        network: Any = build_network(stock_cascade_mask_rcnn(3)).eval()
    state = {renamed(name): value for name, value in weights.items()}
    wanted = network.state_dict()
    state |= {n: torch.zeros((), dtype=torch.int64) for n in wanted if n not in state}
    network.load_state_dict(state, assign=True)
    truth = dict(np.load(golden / CASE / "outputs_crop.npz"))

    height, width = (int(n) for n in truth["input/resized_hw"])
    grey = Image.fromarray(np.load(golden / "inputs" / "crop.npy"))
    resized = np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    mean = np.array([103.53, 116.28, 123.675], np.float32)[:, None, None]
    batch = torch.zeros(1, 3, -(-height // 32) * 32, -(-width // 32) * 32)
    batch[0, :, :height, :width] = torch.from_numpy(resized[None] - mean)

    boxes = torch.from_numpy(truth["fixed/boxes"])
    with torch.inference_mode():
        features = network.features(batch)
        (scored,) = network.score_boxes(features, [boxes], [(height, width)])
        for stage, head in enumerate(network._heads):
            given = torch.from_numpy(truth[f"fixed/stage{stage}/boxes_in"])
            pooled = pool_boxes(features, (4, 8, 16, 32), [given], head.config.pooler)
            logits, deltas = head(pooled)
            _close(logits, truth[f"fixed/stage{stage}/class_logits"], 5e-4)
            _close(deltas, truth[f"fixed/stage{stage}/box_deltas"], 5e-4)
        (masks,) = network.predict_masks(features, [boxes])
    _close(scored.boxes[:, 0], truth["fixed/cascade_boxes"], 0.02)
    _close(scored.probabilities, truth["fixed/cascade_probs"], 5e-4)
    _close(masks, 1 / (1 + np.exp(-truth["fixed/mask_logits"])), 5e-4)


def _close(given: torch.Tensor, wanted: Any, tolerance: float) -> None:
    np.testing.assert_allclose(given.numpy(), wanted, rtol=0, atol=tolerance)
