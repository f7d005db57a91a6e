"""torchvision's Mask R-CNNs find after an import what torchvision finds with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.detection import (
    MaskRCNN,
    maskrcnn_resnet50_fpn,
    maskrcnn_resnet50_fpn_v2,
)
from torchvision.models.detection._utils import overwrite_eps
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.misc import FrozenBatchNorm2d

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.paste import paste
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.prepare import prepare
from napari_sartorius.inference.tiling import Rectangle
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.samples.phase_contrast import phase_contrast_scene
from napari_sartorius.zoo.checkpoints import import_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CLASSES = 3
SHORT, LONG, PROPOSALS = 200, 300, 150
# Rounding, the last level's stride and the padding all matter for such a size.
IMAGE_SIZE = (141, 187)


def _image() -> NDArray[np.uint8]:
    grey, _ = phase_contrast_scene(IMAGE_SIZE, 5, cells=40)
    colours = np.stack([grey, grey // 2 + 40, 255 - grey], axis=-1)
    return np.ascontiguousarray(colours.astype(np.uint8))


def _lively(network: MaskRCNN, image: torch.Tensor) -> MaskRCNN:
    """Random weights that find many different things: normal maps, opinionated predictors."""
    network.eval()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        nn.init.uniform_(norm.weight, 0.7, 1.3)
        nn.init.normal_(norm.bias, std=0.1)
        norm.train()
    heads = network.roi_heads
    nn.init.normal_(network.rpn.head.cls_logits.weight, std=0.1)
    nn.init.normal_(network.rpn.head.bbox_pred.weight, std=0.01)
    nn.init.normal_(heads.box_predictor.cls_score.weight, std=0.3)
    nn.init.normal_(heads.box_predictor.bbox_pred.weight, std=0.1)
    nn.init.normal_(heads.mask_predictor.mask_fcn_logits.weight, std=0.1)
    with torch.inference_mode():
        network([image])
    return network.eval()


def _network(kind: str, image: torch.Tensor) -> MaskRCNN:
    torch.manual_seed(3)
    sizes: dict[str, Any] = {"min_size": SHORT, "max_size": LONG, "num_classes": CLASSES + 1}
    sizes["rpn_post_nms_top_n_test"] = PROPOSALS
    if kind == "second version":
        return _lively(
            maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, **sizes), image
        )
    plain = _lively(maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, **sizes), image)
    if kind == "first version":
        return plain
    body = resnet_fpn_backbone(backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d)
    frozen = MaskRCNN(body, **sizes)
    overwrite_eps(frozen, 0.0)  # as torchvision does for its COCO weights
    kept = {n: v for n, v in plain.state_dict().items() if not n.endswith("num_batches_tracked")}
    frozen.load_state_dict(kept)
    return frozen.eval()


def _old_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As versions before 0.13 wrote them."""
    renamed = {}
    for name, value in state.items():
        for new, old in (("rpn.head.conv.0.0.", "rpn.head.conv."),):
            name = name.replace(new, old)
        if "_blocks." in name:
            name = name.replace(".0.weight", ".weight").replace(".0.bias", ".bias")
            name = name if name.count(".") == 4 else name.replace("_blocks", "_blocks.0", 1)
        for i in range(4):
            name = name.replace(f"mask_head.{i}.0.", f"mask_head.mask_fcn{i + 1}.")
        renamed[name] = value
    return renamed


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "sizes.yaml"
    path.write_text(
        f"INPUT: {{MIN_SIZE_TEST: {SHORT}, MAX_SIZE_TEST: {LONG}}}\n"
        f"MODEL: {{RPN: {{POST_NMS_TOPK_TEST: {PROPOSALS}}}}}\n"
    )
    return path


@pytest.mark.parametrize("kind", ["first version", "frozen first version", "second version"])
def test_an_import_finds_what_torchvision_finds(kind: str, settings: Path, tmp_path: Path) -> None:
    pixels = _image()
    image = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float() / 255
    network = _network(kind, image)
    with torch.inference_mode():
        (truth,) = network([image])
    assert 30 < len(truth["boxes"]) <= 100
    assert len(truth["labels"].unique()) == CLASSES
    assert float(truth["scores"].max() - truth["scores"].min()) > 0.2

    path = tmp_path / "model.pth"
    torch.save(network.state_dict(), path)
    imported = import_checkpoint(path, config=settings, folder=tmp_path / "models")
    assert len(imported.report.of("used")) > 200
    bundle = imported.bundle
    prepared = prepare(pixels, bundle.card, SegmentConfig())
    size = prepared.rescaler.size
    seen = prepared.window(Rectangle(0, 0, *size)).transpose(2, 0, 1)
    wanted, _ = network.transform([image])
    assert wanted.image_sizes == [size]
    np.testing.assert_allclose(seen, wanted.tensors[0, :, : size[0], : size[1]], atol=1e-4)

    limits = DetectLimits(score=0.05, nms=0.5, max_detections=100)
    (found,) = bundle.load_network().detect(wanted.tensors, limits, [size])
    scale = np.array([IMAGE_SIZE[1] / size[1], IMAGE_SIZE[0] / size[0]] * 2, np.float32)
    boxes = found.boxes.numpy() * scale
    assert len(boxes) == len(truth["boxes"])
    order = [int(np.abs(truth["boxes"].numpy() - box).sum(axis=1).argmin()) for box in boxes]
    assert len(set(order)) == len(order)
    np.testing.assert_allclose(boxes, truth["boxes"][order], atol=0.01)
    np.testing.assert_allclose(found.scores, truth["scores"][order], atol=5e-4)
    assert np.array_equal(found.labels, truth["labels"][order] - 1)
    _masks_agree(network, wanted, found, order)

    pasted = truth["masks"][order, 0].numpy() >= 0.5
    large = np.flatnonzero(pasted.sum(axis=(1, 2)) > 20)
    assert len(large) > 20
    wanted_masks = CropMasks.from_full(pasted)
    masks = paste(found.mask_probs.numpy(), boxes, IMAGE_SIZE, 0.5, whole_pixels=True)
    shared = np.array([masks[[i]].iou(wanted_masks[[i]])[0, 0] for i in large])
    assert shared.mean() > 0.999
    # Or one pixel: where a probability is a half but for rounding it may fall on either side.
    assert np.all((shared > 0.98) | ((1 - shared) * wanted_masks.area()[large] < 1.5))
    assert bundle.card.mask_pasting == "whole_pixels"


def _masks_agree(network: MaskRCNN, images: Any, found: Any, order: list[int]) -> None:
    """The small masks inside the boxes, before either program pastes them."""
    with torch.inference_mode():
        features = network.backbone(images.tensors)
        proposals, _ = network.rpn(images, features)
        (raw,), _ = network.roi_heads(features, proposals, images.image_sizes)
    torch.testing.assert_close(found.mask_probs, raw["masks"][order, 0], atol=2e-3, rtol=0)


def test_old_spellings_are_the_same_network(settings: Path, tmp_path: Path) -> None:
    body = resnet_fpn_backbone(backbone_name="resnet18", weights=None, norm_layer=nn.BatchNorm2d)
    torch.manual_seed(1)
    state = MaskRCNN(body, num_classes=CLASSES + 1).state_dict()
    bundles = []
    for name, weights in (("new", state), ("old", _old_names(state))):
        assert (set(weights) == set(state)) == (name == "new")
        path = tmp_path / f"{name}.pth"
        torch.save({"model": weights, "epoch": 3}, path)
        bundles.append(import_checkpoint(path, config=settings, folder=tmp_path / "m").bundle)
    one, other = (bundle.load_network().state_dict() for bundle in bundles)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert bundles[0].card.architecture == bundles[1].card.architecture
    rows = state["roi_heads.box_predictor.cls_score.weight"]
    assert torch.equal(one["box_head.class_logits.weight"], torch.cat([rows[1:], rows[:1]]))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("roi_heads.mask_predictor.mask_fcn_logits.weight", (2, 256, 1, 1)), "has the shape 2x25"),
        (("roi_heads.box_predictor.cls_score.weight", None), "no tensor roi_heads.box_predictor"),
        (("rpn.head.cls_logits.weight", (6, 256, 1, 1)), "6 anchors at each place, where 3"),
        (("backbone.body.conv1.weight", (64, 1, 7, 7)), "reads 1 channel;"),
        (("backbone.body.layer1.0.conv1.weight", "nan"), "NaN or infinite"),
        (("backbone.body.layer3.1.conv1.weight", "stranger"), "does not have"),
        (("rpn.head.bbox_pred.weight", (8, 256, 1, 1)), "was expected"),
    ],
)
def test_damaged_files_are_one_sentence(
    change: tuple[str, Any], sentence: str, tmp_path: Path
) -> None:
    name, what = change
    body = resnet_fpn_backbone(backbone_name="resnet18", weights=None, norm_layer=nn.BatchNorm2d)
    state = MaskRCNN(body, num_classes=CLASSES + 1).state_dict()
    if what is None:
        del state[name]
    elif what == "nan":
        state[name] = state[name] * torch.nan
    elif what == "stranger":
        state["backbone.body.layer3.1.conv9.weight"] = state[name]
    else:
        state[name] = torch.zeros(what)
    path = tmp_path / "bad.pth"
    torch.save(state, path)
    with pytest.raises(UserError, match=sentence):
        import_checkpoint(path, folder=tmp_path / "models")
    assert not (tmp_path / "models" / "bad").exists()
