"""The architecture tree and the input of torchvision's Mask R-CNN, from its tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.nn.config import (
    BoxHeadConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    PoolerConfig,
    ProposalConfig,
    PyramidConfig,
    TrunkConfig,
)
from napari_sartorius.nn.stock import STOCK_ANCHOR_SIZES, stock_proposals
from napari_sartorius.zoo.card import InputSize
from napari_sartorius.zoo.checkpoints.checkpoint_format import ImportedNetwork
from napari_sartorius.zoo.checkpoints.facts import Facts
from napari_sartorius.zoo.checkpoints.plain_settings import (
    STEM_KEY,
    read_anchors,
    read_imagenet,
    read_score,
    read_size,
)
from napari_sartorius.zoo.checkpoints.resnets import norm_of, read_resnet
from napari_sartorius.zoo.checkpoints.torchvision.names import BOX_CONVOLUTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.zoo.checkpoints.settings import Settings

TITLE = "Mask R-CNN of torchvision"
_SIZE = InputSize(short_edge=800, long_edge=1333, rounding="down", antialias=False)


def describe(
    path: Path, weights: Mapping[str, NDArray[Any]], settings: Settings
) -> ImportedNetwork:
    """Put together what shapes and settings say.

    Raises
    ------
    UserError
        When this is another network, or a tensor that tells a size is missing.
    """
    facts = Facts(path, weights, TITLE)
    if STEM_KEY in settings:
        raise settings.wrong(STEM_KEY, "no such entry for a network of torchvision")
    assumed: list[str] = []
    width = facts.shape(_first(facts, "backbone.fpn.layer_blocks.0"))[0]
    architecture = MaskRCNNConfig(
        num_classes=_classes(facts),
        trunk=_trunk(facts, assumed),
        pyramid=PyramidConfig(
            width=width, norm=norm_of(facts, "backbone.fpn.layer_blocks.0.1"), extra_level=True
        ),
        proposals=_proposals(facts, settings, assumed),
        box_head=_box_head(facts, width),
        mask_head=MaskHeadConfig(
            pooler=_pooler(14),
            layers=facts.count(r"^roi_heads\.mask_head\.(?:mask_fcn)?(\d+)\."),
            width=facts.shape("roi_heads.mask_predictor.conv5_mask.weight")[1],
            norm=norm_of(facts, "roi_heads.mask_head.0.1"),
        ),
    )
    return ImportedNetwork(
        architecture=architecture,
        normalisation=read_imagenet(settings, assumed),
        input_size=read_size(settings, _SIZE, assumed),
        score=read_score(settings),
        assumptions=tuple(assumed),
        whole_grey_levels=False,
        mask_pasting="whole_pixels",
    )


def _trunk(facts: Facts, assumed: list[str]) -> TrunkConfig:
    trunk = read_resnet(facts, "backbone.body.")
    if trunk.norm != "frozen":
        return trunk
    assumed.append(
        "the frozen batch normalisation of the trunk adds nothing to its variances, as in "
        "torchvision's own COCO weights and what was trained from them"
    )
    return trunk.model_copy(update={"norm_eps": 0.0})


def _proposals(facts: Facts, settings: Settings, assumed: list[str]) -> ProposalConfig:
    outputs = facts.shape("rpn.head.cls_logits.weight")[0]
    sizes, ratios = read_anchors(facts, outputs, settings, STOCK_ANCHOR_SIZES, assumed)
    stock = stock_proposals(post_nms_topk_train=2000)
    prefix = "MODEL.RPN."
    return stock.model_copy(
        update={
            "anchor_sizes": sizes,
            "anchor_ratios": ratios,
            "rounded_anchors": True,
            "strides_from_map": True,
            "convolutions": max(1, facts.count(r"^rpn\.head\.conv\.(\d+)\.")),
            "nms_iou": settings.number(f"{prefix}NMS_THRESH", stock.nms_iou),
            "pre_nms_topk_test": settings.count(
                f"{prefix}PRE_NMS_TOPK_TEST", stock.pre_nms_topk_test
            ),
            "post_nms_topk_test": settings.count(
                f"{prefix}POST_NMS_TOPK_TEST", stock.post_nms_topk_test
            ),
        }
    )


def _box_head(facts: Facts, width: int) -> BoxHeadConfig:
    convolutions = facts.count(r"^roi_heads\.box_head\.(\d+)\.0\.")
    if convolutions not in (0, BOX_CONVOLUTIONS):
        raise UserError(
            f"{facts.path} has {plural(convolutions, 'convolution')} in its box head; only "
            f"torchvision's own heads with none or {BOX_CONVOLUTIONS} can be imported"
        )
    first = f"{BOX_CONVOLUTIONS + 1}" if convolutions else "fc6"
    pooled = facts.shape(f"roi_heads.box_head.{first}.weight")
    if convolutions:
        width = facts.shape("roi_heads.box_head.0.0.weight")[0]
    if pooled[1] % width or math.isqrt(pooled[1] // width) ** 2 != pooled[1] // width:
        raise facts.odd(f"roi_heads.box_head.{first}.weight")
    return BoxHeadConfig(
        pooler=_pooler(math.isqrt(pooled[1] // width)),
        convolutions=convolutions,
        conv_width=width,
        norm=norm_of(facts, "roi_heads.box_head.0.1"),
        layers=facts.count(r"^roi_heads\.box_head\.(fc\d|\d+)\.weight"),
        width=pooled[0],
        class_agnostic=False,
        batch_per_image=512,
    )


def _classes(facts: Facts) -> int:
    """Classes without the background; every predictor must have as many."""
    with_background = facts.shape("roi_heads.box_predictor.cls_score.weight")[0]
    for name, outputs in (
        ("roi_heads.box_predictor.bbox_pred.weight", 4 * with_background),
        ("roi_heads.mask_predictor.mask_fcn_logits.weight", with_background),
    ):
        if facts.shape(name)[0] != outputs or with_background < 2:
            raise facts.odd(name)
    return with_background - 1


def _first(facts: Facts, layer: str) -> str:
    """Name of the weight of a convolution in either of the two spellings."""
    return f"{layer}.0.weight" if f"{layer}.0.weight" in facts.weights else f"{layer}.weight"


def _pooler(resolution: int) -> PoolerConfig:
    return PoolerConfig(
        resolution=resolution, canonical_size=224.0, sampling_ratio=2, aligned=False
    )
