"""A checkpoint as detectron2 writes it, small enough to make in a moment."""

from __future__ import annotations

import numpy as np
import pytest
import torch

WIDTHS = (16, 32, 64, 128)
PYRAMID, HIDDEN, CLASSES = 16, 32, 2


class _Maker:
    """Fills a state dict in detectron2's names; the seed fixes every number."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.weights: dict[str, torch.Tensor] = {}

    def layer(self, name: str, *shape: int, bias: bool = True, gain: float = 1.0) -> None:
        fan_in = int(np.prod(shape[1:]))
        values = self.random.normal(0, gain * np.sqrt(2 / fan_in), shape)
        self.weights[f"{name}.weight"] = torch.tensor(values, dtype=torch.float32)
        if bias:
            outputs = shape[1] if name.endswith("deconv") else shape[0]
            self.weights[f"{name}.bias"] = torch.tensor(
                self.random.normal(0, 0.05, outputs), dtype=torch.float32
            )

    def frozen_norm(self, name: str, channels: int, gain: float = 1.0) -> None:
        for part, middle in (("weight", gain), ("bias", 0), ("running_mean", 0)):
            values = middle + self.random.normal(0, 0.1 * max(gain, 0.3), channels)
            self.weights[f"{name}.norm.{part}"] = torch.tensor(values, dtype=torch.float32)
        values = np.exp(self.random.normal(0, 0.1, channels))
        self.weights[f"{name}.norm.running_var"] = torch.tensor(values, dtype=torch.float32)


@pytest.fixture(scope="session")
def tiny_weights() -> dict[str, torch.Tensor]:
    """State dict of a Mask R-CNN R18-FPN that is 16 channels wide where others have 256."""
    make = _Maker(0)
    for level, width in zip((2, 3, 4, 5), WIDTHS, strict=True):
        make.layer(f"backbone.fpn_lateral{level}", PYRAMID, width, 1, 1)
        make.layer(f"backbone.fpn_output{level}", PYRAMID, PYRAMID, 3, 3)
    # Inputs are grey levels of some 100, so the first layer is that much smaller.
    make.layer("backbone.bottom_up.stem.conv1", 64, 3, 7, 7, bias=False, gain=0.01)
    make.frozen_norm("backbone.bottom_up.stem.conv1", 64)
    inputs = 64
    for stage, width in zip((2, 3, 4, 5), WIDTHS, strict=True):
        for block in (0, 1):
            name = f"backbone.bottom_up.res{stage}.{block}"
            if inputs != width:
                make.layer(f"{name}.shortcut", width, inputs, 1, 1, bias=False)
                make.frozen_norm(f"{name}.shortcut", width)
            make.layer(f"{name}.conv1", width, inputs, 3, 3, bias=False)
            make.frozen_norm(f"{name}.conv1", width)
            make.layer(f"{name}.conv2", width, width, 3, 3, bias=False)
            make.frozen_norm(f"{name}.conv2", width, gain=0.3)
            inputs = width
    head = "proposal_generator.rpn_head"
    make.layer(f"{head}.conv", PYRAMID, PYRAMID, 3, 3)
    make.layer(f"{head}.objectness_logits", 3, PYRAMID, 1, 1)
    make.layer(f"{head}.anchor_deltas", 12, PYRAMID, 1, 1, gain=0.1)
    make.layer("roi_heads.box_head.fc1", HIDDEN, PYRAMID * 49)
    make.layer("roi_heads.box_head.fc2", HIDDEN, HIDDEN)
    make.layer("roi_heads.box_predictor.cls_score", CLASSES + 1, HIDDEN)
    make.layer("roi_heads.box_predictor.bbox_pred", CLASSES * 4, HIDDEN, gain=0.3)
    make.layer("roi_heads.mask_head.mask_fcn1", PYRAMID, PYRAMID, 3, 3)
    make.layer("roi_heads.mask_head.deconv", PYRAMID, PYRAMID, 2, 2)
    make.layer("roi_heads.mask_head.predictor", CLASSES, PYRAMID, 1, 1)
    return make.weights


@pytest.fixture(scope="session")
def tiny_cascade(tiny_weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same network with three box heads in a row and one box for all classes."""
    weights = {}
    for name, value in tiny_weights.items():
        part = next((p for p in ("box_head", "box_predictor") if f".{p}." in name), None)
        kept = value[:4] if "bbox_pred" in name else value
        for stage in range(3) if part else ():
            weights[name.replace(f"{part}.", f"{part}.{stage}.")] = kept * (1 - 0.2 * stage)
        if part is None:
            weights[name] = value
    return weights
