"""mmdetection's R-CNNs: synthetic checkpoints with its names, and its arithmetic done by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import timm
import torch
from torch.nn import functional
from torchvision.models import resnet18
from torchvision.ops import roi_align

from napari_sartorius import load_model
from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.config import HTCConfig, MaskRCNNConfig
from napari_sartorius.nn.htc import HybridTaskCascade
from napari_sartorius.zoo import InputSize
from napari_sartorius.zoo.checkpoints import import_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.zoo.checkpoints import ImportedModel

State = dict[str, torch.Tensor]
WIDTH, HIDDEN, CLASSES = 16, 24, 3


class _Writer:
    """Random tensors by mmdetection's names."""

    def __init__(self, trunk: State) -> None:
        self.state = {f"backbone.{name}": value.clone() for name, value in trunk.items()}
        self.random = torch.Generator().manual_seed(7)

    def layer(self, name: str, *shape: int, bias: bool = True, std: float | None = None) -> None:
        spread = std if std is not None else (2 / max(1, int(np.prod(shape[1:])))) ** 0.5
        self.state[f"{name}.weight"] = torch.randn(shape, generator=self.random) * spread
        if bias:
            outputs = shape[1] if name.endswith("upsample") else shape[0]
            self.state[f"{name}.bias"] = torch.randn(outputs, generator=self.random) * 0.05

    def pyramid(self, channels: tuple[int, ...]) -> None:
        for i, inputs in enumerate(channels):
            self.layer(f"neck.lateral_convs.{i}.conv", WIDTH, inputs, 1, 1)
            self.layer(f"neck.fpn_convs.{i}.conv", WIDTH, WIDTH, 3, 3)
        self.layer("rpn_head.rpn_conv", WIDTH, WIDTH, 3, 3)
        self.layer("rpn_head.rpn_cls", 3, WIDTH, 1, 1)
        self.layer("rpn_head.rpn_reg", 12, WIDTH, 1, 1, std=0.01)

    def heads(self, stages: int, *, agnostic: bool, flow: bool, root: str = "roi_head.") -> None:
        background = 0 if root else 1
        for stage in [f"{i}." for i in range(stages)] or [""]:
            box, mask = f"{root}bbox_head.{stage}", f"{root}mask_head.{stage}"
            self.layer(f"{box}shared_fcs.0", HIDDEN, WIDTH * 49)
            self.layer(f"{box}shared_fcs.1", HIDDEN, HIDDEN)
            self.layer(f"{box}fc_cls", CLASSES + 1, HIDDEN)
            self.layer(f"{box}fc_reg", 4 if agnostic else 4 * (CLASSES + background), HIDDEN)
            for i in range(2):
                self.layer(f"{mask}convs.{i}.conv", WIDTH, WIDTH, 3, 3)
            self.layer(f"{mask}upsample", WIDTH, WIDTH, 2, 2)
            self.layer(f"{mask}conv_logits", CLASSES + background, WIDTH, 1, 1)
            if flow:
                self.layer(f"{mask}conv_res.conv", WIDTH, WIDTH, 1, 1)

    def semantic(self) -> None:
        for i in range(5):
            self.layer(f"roi_head.semantic_head.lateral_convs.{i}.conv", WIDTH, WIDTH, 1, 1)
        for i in range(2):
            self.layer(f"roi_head.semantic_head.convs.{i}.conv", WIDTH, WIDTH, 3, 3)
        self.layer("roi_head.semantic_head.conv_embedding.conv", WIDTH, WIDTH, 1, 1)
        self.layer("roi_head.semantic_head.conv_logits", 8, WIDTH, 1, 1)


def _resnet() -> State:
    torch.manual_seed(0)
    state = resnet18().state_dict()
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


def _state(kind: str, trunk: State | None = None) -> State:
    writer = _Writer(_resnet() if trunk is None else trunk)
    writer.pyramid((64, 128, 256, 512) if trunk is None else (32, 48, 136, 384))
    if kind == "mask":
        writer.heads(0, agnostic=False, flow=False)
    elif kind == "cascade":
        writer.heads(3, agnostic=True, flow=False)
    else:
        writer.heads(3, agnostic=True, flow=True)
        writer.semantic()
    return writer.state


def _save(path: Path, state: State, wrapped: bool = False) -> Path:
    """As mmcv writes them, or as a wrapped network's plain state dict."""
    if wrapped:
        torch.save({f"module.{name}": value for name, value in state.items()}, path)
    else:
        torch.save({"meta": {"epoch": 20}, "state_dict": state, "optimizer": {}}, path)
    return path


def _imported(tmp_path: Path, state: State, config: str = "", **options: Any) -> ImportedModel:
    path = _save(tmp_path / "model.pth", state, options.get("wrapped", False))
    yaml = tmp_path / "extra.yaml"
    yaml.write_text(config)
    return import_checkpoint(
        path, config=yaml if config else None, name="ours", folder=tmp_path / "models"
    )


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("kind", ["mask", "cascade", "htc"])
def test_every_tensor_reaches_its_layer(kind: str, wrapped: bool, tmp_path: Path) -> None:
    state = _state(kind)
    imported = _imported(tmp_path, state, wrapped=wrapped)
    used = imported.report.of("used")
    unused = {n for n in state if n.endswith("num_batches_tracked") or "mask_head.0.conv_res" in n}
    assert {note.name for note in used} == set(state) - unused
    loaded = imported.bundle.load_network().state_dict()
    for note in used:
        assert torch.equal(loaded[note.reason], state[note.name]), note.name
    assert len({note.reason for note in used}) == len(used)
    assert len(loaded) == len(used) + sum(n.endswith("num_batches_tracked") for n in loaded)


def test_the_tree_has_the_numbers_of_mmdetection(tmp_path: Path) -> None:
    card = _imported(tmp_path, _state("htc")).bundle.card
    tree = card.architecture
    assert type(tree) is HTCConfig
    assert tree.interleaved and tree.mask_flow
    assert tree.semantic is not None
    assert (tree.semantic.level, tree.semantic.classes, tree.semantic.layers) == (1, 8, 2)
    assert tree.num_classes == CLASSES
    assert [size for (size,) in tree.proposals.anchor_sizes] == [32, 64, 128, 256, 512]
    assert tree.proposals.anchor_offset == 0
    assert not tree.proposals.rounded_anchors
    assert tree.box_head.pooler.aligned
    assert tree.box_head.pooler.sampling_ratio == 0
    assert tree.box_head.class_agnostic
    weights = [tree.box_head.delta_weights, *(stage.delta_weights for stage in tree.stages)]
    stds = [(0.1, 0.1, 0.2, 0.2), (0.05, 0.05, 0.1, 0.1), (0.033, 0.033, 0.067, 0.067)]
    np.testing.assert_allclose(1 / np.array(weights), stds)
    assert card.input_size == InputSize(short_edge=800, long_edge=1333)
    assert card.normalisation.mean == (123.675, 116.28, 103.53)
    assert card.normalisation.channel_order == "RGB"


def test_a_cascade_without_flow_is_the_plain_one(tmp_path: Path) -> None:
    tree = _imported(tmp_path, _state("cascade")).bundle.card.architecture
    assert type(tree) is HTCConfig
    assert not tree.interleaved
    assert not tree.mask_flow
    assert tree.semantic is None
    assert len(tree.stages) == 2


def test_a_stem_without_stride_halves_anchors_and_keeps_pixels(tmp_path: Path) -> None:
    imported = _imported(tmp_path, _state("mask"), "MODEL: {STEM_STRIDE: 1}")
    card = imported.bundle.card
    assert type(card.architecture) is MaskRCNNConfig
    assert card.architecture.trunk.stem_stride == 1  # type: ignore[union-attr]
    assert [size for (size,) in card.architecture.proposals.anchor_sizes] == [16, 32, 64, 128, 256]
    assert card.input_size is None
    assert not card.architecture.box_head.class_agnostic
    assert not any("stride" in sentence for sentence in imported.report.assumptions)


def test_efficientnets_of_the_eleventh_place(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = timm.create_model("tf_efficientnet_b3", num_classes=5).state_dict()
    state = _state("mask", {f"effnet.{name}": value for name, value in whole.items()})
    imported = _imported(tmp_path, state, wrapped=True)
    card = imported.bundle.card
    assert card.architecture.trunk.name == "tf_efficientnet_b3"  # type: ignore[union-attr]
    assert card.architecture.trunk.stem_stride == 1  # type: ignore[union-attr]
    ignored = {note.name for note in imported.report.of("ignored")}
    assert {"backbone.effnet.conv_head.weight", "backbone.effnet.classifier.bias"} <= ignored
    assert card.architecture.proposals.pre_nms_topk_test == 2000
    pixels = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    model = load_model(imported.bundle.path, device="cpu")
    assert model.segment(pixels, min_score=0.05) is not None


def _conv(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    weight = state[f"{name}.weight"]
    return functional.conv2d(x, weight, state.get(f"{name}.bias"), padding=weight.shape[-1] // 2)


def _by_hand(state: State, levels: list[torch.Tensor], boxes: torch.Tensor) -> dict[str, Any]:
    """Scores and masks of HTC in mmdetection's order, on boxes of the finest level only."""
    root = "roi_head.semantic_head."
    size = levels[1].shape[-2:]
    x = _conv(state, f"{root}lateral_convs.1.conv", levels[1]).relu()
    for i in (0, 2, 3, 4):
        other = functional.interpolate(levels[i], size=size, mode="bilinear", align_corners=True)
        x = x + _conv(state, f"{root}lateral_convs.{i}.conv", other).relu()
    for i in range(2):
        x = _conv(state, f"{root}convs.{i}.conv", x).relu()
    embedding = _conv(state, f"{root}conv_embedding.conv", x).relu()
    stds = ((0.1, 0.1, 0.2, 0.2), (0.05, 0.05, 0.1, 0.1), (0.033, 0.033, 0.067, 0.067))

    def pooled(rois: torch.Tensor, side: int) -> torch.Tensor:
        own = roi_align(levels[0], [rois], side, 1 / 4, 0, True)
        around = roi_align(embedding, [rois], 14, 1 / 8, 0, True)
        return own + functional.adaptive_avg_pool2d(around, side)

    rois, logits = boxes, []
    for stage in range(3):
        head = f"roi_head.bbox_head.{stage}."
        hidden = pooled(rois, 7).flatten(1)
        for i in range(2):
            weight, bias = (state[f"{head}shared_fcs.{i}.{p}"] for p in ("weight", "bias"))
            hidden = functional.linear(hidden, weight, bias).relu()
        logits.append(
            functional.linear(hidden, state[f"{head}fc_cls.weight"], state[f"{head}fc_cls.bias"])
        )
        delta = functional.linear(
            hidden, state[f"{head}fc_reg.weight"], state[f"{head}fc_reg.bias"]
        ) * torch.tensor(stds[stage])
        centre, side = (rois[:, :2] + rois[:, 2:]) / 2, rois[:, 2:] - rois[:, :2]
        centre = centre + delta[:, :2] * side
        side = side * delta[:, 2:].clamp(-4.1351666, 4.1351666).exp()
        rois = torch.cat([centre - side / 2, centre + side / 2], dim=1).clamp(0, 128)
    masks, last = [], None
    for stage in range(3):
        head = f"roi_head.mask_head.{stage}."
        x = pooled(boxes, 14)
        if last is not None:
            x = x + _conv(state, f"{head}conv_res.conv", last).relu()
        for i in range(2):
            x = _conv(state, f"{head}convs.{i}.conv", x).relu()
        last = x
        weight, bias = (state[f"{head}upsample.{p}"] for p in ("weight", "bias"))
        x = functional.conv_transpose2d(x, weight, bias, stride=2).relu()
        masks.append(_conv(state, f"{head}conv_logits", x).sigmoid())
    scores = (sum(logits) / 3).softmax(dim=1)  # type: ignore[union-attr, arg-type]
    return {"scores": scores, "boxes": rois, "masks": sum(masks) / 3}


def test_an_imported_cascade_does_what_mmdetection_does(tmp_path: Path) -> None:
    state = _state("htc")
    for stage in range(3):  # small steps keep every box on the finest level
        state[f"roi_head.bbox_head.{stage}.fc_reg.weight"] *= 0.02
    network = _imported(tmp_path, state).bundle.load_network()
    assert isinstance(network, HybridTaskCascade)
    boxes = torch.tensor([[10.0, 12, 50, 61], [64, 3, 127, 70], [30, 80, 90, 128]])
    torch.manual_seed(1)
    with torch.inference_mode():
        features = network.features(torch.randn(1, 3, 128, 128))
        truth = _by_hand(state, features[:5], boxes)
        (scored,) = network.score_boxes(features, [boxes], [(128, 128)])
        (masks,) = network.predict_masks(features, [boxes])
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(scored.probabilities, truth["scores"], **close)
    torch.testing.assert_close(scored.boxes[:, 0].clamp(0, 128), truth["boxes"], rtol=0, atol=0.01)
    torch.testing.assert_close(masks, truth["masks"], **close)
    assert scored.probabilities.std() > 0.01
    assert (scored.boxes[:, 0] - boxes).abs().max() > 0.1


def test_version_one_has_the_background_first(tmp_path: Path) -> None:
    writer = _Writer(_resnet())
    writer.pyramid((64, 128, 256, 512))
    writer.heads(0, agnostic=False, flow=False, root="")
    state = writer.state
    imported = _imported(tmp_path, state)
    assert imported.bundle.card.architecture.num_classes == CLASSES
    loaded = imported.bundle.load_network().state_dict()
    rows = state["bbox_head.fc_cls.bias"]
    assert torch.equal(loaded["box_head.class_logits.bias"], torch.cat([rows[1:], rows[:1]]))
    assert torch.equal(loaded["box_head.deltas.weight"], state["bbox_head.fc_reg.weight"][4:])
    assert torch.equal(loaded["mask_head.predictor.bias"], state["mask_head.conv_logits.bias"][1:])
    assert any("version 1" in sentence for sentence in imported.report.assumptions)


@pytest.mark.parametrize(
    ("name", "shape", "config", "sentence"),
    [
        ("roi_head.bbox_head.fc_cls.weight", None, "", "no tensor roi_head.bbox_head.fc_cls"),
        ("roi_head.bbox_head.fc_reg.weight", (8, 24), "", "has the shape 8x24"),
        ("roi_head.mask_head.conv_logits.weight", (7, 16, 1, 1), "", "has the shape 7x16x1x1"),
        ("rpn_head.rpn_cls.weight", (9, 16, 1, 1), "", "9 anchors at each place, where 3 were"),
        ("backbone.conv1.weight", None, "", "holds a trunk"),
        ("backbone.layer2.1.conv1.weight", (1, 1), "", "has the shape 1x1, where"),
        ("neck.fpn_convs.4.conv.weight", (16, 16, 3, 3), "", "last level is a convolution"),
        ("roi_head.mask_iou_head.fc.weight", (3, 16), "", "a head that scores masks"),
        ("backbone.layer1.9.conv1.weight", (64, 64, 3, 3), "", "3-2-2-2 basic blocks"),
        ("roi_head.extra.weight", (3, 16), "", "does not have"),
        ("", None, "MODEL: {STEM_STRIDE: 3}", "STEM_STRIDE is 3, expected 1 or 2"),
        ("", None, "MODEL: {NECK: FPN}", "sets MODEL.NECK"),
        ("", None, "MODEL: {PIXEL_STD: [0, 1, 1]}", "numbers above 0"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence(
    name: str, shape: tuple[int, ...] | None, config: str, sentence: str, tmp_path: Path
) -> None:
    state = _state("mask")
    if name and shape is None:
        del state[name]
    elif name:
        assert shape is not None
        state[name] = torch.zeros(shape)
    with pytest.raises(UserError, match=sentence):
        _imported(tmp_path, state, config)
    assert not (tmp_path / "models" / "ours").exists()
