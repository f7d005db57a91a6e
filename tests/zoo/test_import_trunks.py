"""Other trunks and heads of detectron2: told by names and shapes, checked by configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import CascadeMaskRCNNConfig, MaskRCNNConfig, ResNeStConfig
from napari_sartorius.zoo.checkpoints.detectron2 import DETECTRON2
from napari_sartorius.zoo.checkpoints.settings import Settings, read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.zoo.checkpoints.checkpoint_format import ImportedNetwork

Weights = dict[str, "NDArray[np.float32]"]

LIVECELL = """
MODEL:
  BACKBONE: {NAME: build_resnet_fpn_backbone, FREEZE_AT: 0}
  RESNETS: {DEPTH: 200, STRIDE_IN_1X1: false, RADIX: 2, DEEP_STEM: true, AVD: true, AVG_DOWN: true,
    BOTTLENECK_WIDTH: 64, DEFORM_ON_PER_STAGE: [false, true, true, true], DEFORM_MODULATED: true,
    DEFORM_NUM_GROUPS: 2, NORM: SyncBN}
  FPN: {NORM: SyncBN}
  PIXEL_MEAN: [128, 128, 128]
  PIXEL_STD: [11.578, 11.578, 11.578]
  ANCHOR_GENERATOR:
    SIZES: [[4], [9], [17], [31], [64], [127]]
    ASPECT_RATIOS: [[0.25, 0.5, 1.0, 2.0, 4.0]]
  RPN: {IN_FEATURES: [p2, p2, p3, p4, p5, p6], PRE_NMS_TOPK_TEST: 6000, POST_NMS_TOPK_TEST: 3000,
    PRE_NMS_TOPK_TRAIN: 12000, POST_NMS_TOPK_TRAIN: 3000}
  ROI_HEADS: {NAME: CascadeROIHeads, NUM_CLASSES: 1, BATCH_SIZE_PER_IMAGE: 512}
  ROI_BOX_HEAD: {NAME: FastRCNNConvFCHead, NUM_CONV: 4, NUM_FC: 1, NORM: SyncBN,
    POOLER_RESOLUTION: 14, CLS_AGNOSTIC_BBOX_REG: true}
  ROI_MASK_HEAD: {NUM_CONV: 8, NORM: SyncBN}
TEST: {DETECTIONS_PER_IMAGE: 3000, PRECISE_BN: {ENABLED: false}}
"""


class _Names:
    """Tensors of a checkpoint in detectron2's names; zeros that take no memory."""

    def __init__(self, norm: str) -> None:
        self.norm, self.weights = norm, Weights()

    def add(self, name: str, *shape: int) -> None:
        self.weights[name] = np.broadcast_to(np.float32(0), shape)

    def layer(self, name: str, *shape: int) -> None:
        self.add(f"{name}.weight", *shape)
        self.add(f"{name}.bias", shape[1] if name.endswith("deconv") else shape[0])

    def block(self, name: str, *shape: int, norm: str = "norm", at: str | None = None) -> None:
        """A convolution and what normalises it."""
        if not self.norm:
            self.layer(name, *shape)
            return
        self.add(f"{name}.weight", *shape)
        at = at or f"{name}.{norm}"
        parts = ("weight", "bias", "running_mean", "running_var")
        for part in parts[: 2 if self.norm == "GN" else 4]:
            self.add(f"{at}.{part}", shape[0])
        if self.norm == "SyncBN":
            self.add(f"{at}.num_batches_tracked")

    def heads(self, classes: int, stages: int, convolutions: int, masks: int, anchors: int) -> None:
        for level, width in zip((2, 3, 4, 5), (256, 512, 1024, 2048), strict=True):
            self.block(f"backbone.fpn_lateral{level}", 256, width, 1, 1)
            self.block(f"backbone.fpn_output{level}", 256, 256, 3, 3)
        head = "proposal_generator.rpn_head"
        self.layer(f"{head}.conv", 256, 256, 3, 3)
        self.layer(f"{head}.objectness_logits", anchors, 256, 1, 1)
        self.layer(f"{head}.anchor_deltas", 4 * anchors, 256, 1, 1)
        for stage in [f"{i}." for i in range(stages)] or [""]:
            for i in range(convolutions):
                self.block(f"roi_heads.box_head.{stage}conv{i + 1}", 256, 256, 3, 3)
            self.layer(f"roi_heads.box_head.{stage}fc1", 1024, 256 * 49)
            predictor = f"roi_heads.box_predictor.{stage}"
            self.layer(f"{predictor}cls_score", classes + 1, 1024)
            self.layer(f"{predictor}bbox_pred", 4 if stages else 4 * classes, 1024)
        for i in range(masks):
            self.block(f"roi_heads.mask_head.mask_fcn{i + 1}", 256, 256, 3, 3)
        self.layer("roi_heads.mask_head.deconv", 256, 256, 2, 2)
        self.layer("roi_heads.mask_head.predictor", classes, 256, 1, 1)


def _resnext(groups: int, per_group: int, blocks: tuple[int, ...] = (3, 4, 23, 3)) -> Weights:
    names, body = _Names("FrozenBN"), "backbone.bottom_up"
    names.block(f"{body}.stem.conv1", 64, 3, 7, 7)
    inputs = 64
    for stage, count in enumerate(blocks):
        inner, outputs = groups * per_group << stage, 256 << stage
        for i in range(count):
            name = f"{body}.res{stage + 2}.{i}"
            if i == 0:
                names.block(f"{name}.shortcut", outputs, inputs, 1, 1)
            names.block(f"{name}.conv1", inner, inputs, 1, 1)
            names.block(f"{name}.conv2", inner, per_group << stage, 3, 3)
            names.block(f"{name}.conv3", outputs, inner, 1, 1)
            inputs = outputs
    names.norm = ""
    names.heads(classes=80, stages=0, convolutions=0, masks=4, anchors=3)
    return names.weights


def _resnest(norm: str, deformable: bool = True, classes: int = 1, anchors: int = 5) -> Weights:
    names, body = _Names(norm), "backbone.bottom_up"
    names.block(f"{body}.stem.conv1_1", 32, 3, 3, 3)
    names.block(f"{body}.stem.conv1_2", 32, 32, 3, 3)
    names.block(f"{body}.stem.conv1_3", 64, 32, 3, 3)
    inputs = 64
    for stage, count in enumerate((3, 4, 6, 3)):
        inner, outputs = 64 << stage, 256 << stage
        for i in range(count):
            name = f"{body}.res{stage + 2}.{i}"
            if i == 0:
                names.block(f"{name}.shortcut", outputs, inputs, 1, 1)
            names.block(f"{name}.conv1", inner, inputs, 1, 1)
            if deformable and stage:
                names.layer(f"{name}.conv2_offset", 54, inner // 2, 3, 3)
            split = f"{name}.conv2"
            names.block(f"{split}.conv", 2 * inner, inner // 2, 3, 3, at=f"{split}.bn0")
            names.block(f"{split}.fc1", inner // 2, inner, 1, 1, at=f"{split}.bn1")
            names.add(f"{split}.fc1.bias", inner // 2)
            names.layer(f"{split}.fc2", 2 * inner, inner // 2, 1, 1)
            names.block(f"{name}.conv3", outputs, inner, 1, 1)
            inputs = outputs
    names.heads(classes=classes, stages=3, convolutions=4, masks=8, anchors=anchors)
    return names.weights


def _described(weights: Weights, tmp_path: Path, yaml: str | None = None) -> ImportedNetwork:
    """The network of a checkpoint, after every tensor has found its place in it."""
    source, settings = DETECTRON2, Settings()
    if yaml is not None:
        path = tmp_path / "config.yaml"
        path.write_text(yaml)
        assert source.rules is not None
        settings = source.rules.judged(read_settings(path))
    assert source.recognises(weights)
    network = source.describe(tmp_path / "model.pth", weights, settings)
    with torch.device("meta"):
        state: dict[str, Any] = build_network(network.architecture).state_dict()
    given = {source.renamed(n): v.shape for n, v in weights.items() if not source.why_not_needed(n)}
    assert given == {n: tuple(v.shape) for n, v in state.items() if not n.endswith("_tracked")}
    return network


def test_a_resnext_is_told_by_its_groups(tmp_path: Path) -> None:
    network = _described(_resnext(32, 8), tmp_path)
    tree = network.architecture
    assert type(tree) is MaskRCNNConfig
    assert tree.trunk.model_dump()["name"] == "resnext101_32x8d"
    assert not tree.trunk.model_dump()["stride_in_1x1"]
    assert not tree.box_head.class_agnostic
    assert network.normalisation.std == (57.375, 57.12, 58.395)
    assert any("X101" in sentence for sentence in network.assumptions)
    yaml = "MODEL: {PIXEL_STD: [1, 1, 1], RESNETS: {NUM_GROUPS: 32, STRIDE_IN_1X1: true}}"
    said = _described(_resnext(32, 8), tmp_path, yaml)
    assert said.normalisation.std == (1, 1, 1)
    assert said.architecture.trunk.model_dump()["stride_in_1x1"]
    with pytest.raises(UserError, match="ResNeXt-101 8x8d"):
        _described(_resnext(8, 8), tmp_path)
    with pytest.raises(UserError, match="32 as in the checkpoint"):
        _described(_resnext(32, 8), tmp_path, "MODEL: {RESNETS: {NUM_GROUPS: 64}}")


@pytest.mark.parametrize("norm", ["SyncBN", "FrozenBN"])
def test_livecells_network_with_and_without_its_configuration(tmp_path: Path, norm: str) -> None:
    for deformable in (True, False):
        weights = _resnest(norm, deformable)
        regular = LIVECELL.replace("[false, true, true, true]", "[false, false, false, false]")
        yaml = LIVECELL if deformable else regular
        said, guessed = (_described(weights, tmp_path, text) for text in (yaml, None))
        assert said.architecture == guessed.architecture
        assert said.normalisation == guessed.normalisation
        assert said.input_size == guessed.input_size
        tree = said.architecture
        assert isinstance(tree, CascadeMaskRCNNConfig)
        kind = {"SyncBN": "batch", "FrozenBN": "frozen"}[norm]
        assert tree.trunk == ResNeStConfig(depth=50, deformable=deformable, norm=kind)  # type: ignore[arg-type]
        assert tree.pyramid.norm == tree.box_head.norm == tree.mask_head.norm == kind
        assert tree.box_head.pooler.resolution == 7
        assert any("POOLER_RESOLUTION is 14" in sentence for sentence in said.assumptions)
        assert any("LIVECell" in sentence for sentence in guessed.assumptions)
        assert tree.proposals.levels == (0, 0, 1, 2, 3, 4)


def test_train4evers_program_set_what_their_configuration_does_not_say(tmp_path: Path) -> None:
    yaml = LIVECELL.replace("build_resnet_fpn_backbone", "build_resneSt_fpn_backbone")
    said = _described(_resnest("FrozenBN", classes=3), tmp_path, yaml)
    guessed = _described(_resnest("FrozenBN", classes=3), tmp_path)
    assert said.architecture == guessed.architecture
    assert said.input_size == guessed.input_size
    assert said.input_size is not None
    assert (said.input_size.short_edge, said.input_size.long_edge) == (1024, 2000)
    assert any("3 classes" in sentence for sentence in said.assumptions)
    with pytest.raises(UserError, match="speaks of 1 class but"):
        _described(_resnest("FrozenBN", classes=3), tmp_path, LIVECELL)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("RADIX: 2", "RADIX: 1", "RADIX is 1, expected 2 as in the checkpoint"),
        ("[false, true, true, true]", "[false, false, true, true]", "DEFORM_ON_PER_STAGE"),
        ("DEFORM_MODULATED: true", "DEFORM_MODULATED: false", "DEFORM_MODULATED is False"),
        ("p5, p6]", "p5, p7]", "some of p2, p3, p4, p5, p6"),
        ("[p2, p2, p3", "[p2, p3", "each of 5 levels"),
        ("POOLER_RESOLUTION: 14", "POOLER_RESOLUTION: wide", "expected one number"),
    ],
)
def test_a_configuration_of_another_network_is_one_sentence(
    tmp_path: Path, before: str, after: str, words: str
) -> None:
    assert before in LIVECELL
    with pytest.raises(UserError, match=words) as caught:
        _described(_resnest("SyncBN"), tmp_path, LIVECELL.replace(before, after))
    assert str(tmp_path / "config.yaml") in str(caught.value)


def test_what_cannot_be_guessed_or_built_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"give the configuration .* with --config"):
        _described(_resnest("SyncBN", anchors=3), tmp_path)
    odd = _resnest("SyncBN")
    odd["backbone.bottom_up.res3.0.conv2_offset.weight"] = np.zeros((27, 64, 3, 3), np.float32)
    with pytest.raises(UserError, match="deformable convolutions"):
        _described(odd, tmp_path)
    grey = _resnest("SyncBN")
    grey["backbone.bottom_up.stem.conv1_1.weight"] = np.zeros((32, 1, 3, 3), np.float32)
    with pytest.raises(UserError, match="reads 1 channel;"):
        _described(grey, tmp_path)
    with pytest.raises(UserError, match="AVG_DOWN is True, expected false"):
        _described(_resnext(32, 8), tmp_path, "MODEL: {RESNETS: {AVG_DOWN: true}}")
