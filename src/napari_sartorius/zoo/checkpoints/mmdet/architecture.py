"""The architecture tree and the input of an mmdetection R-CNN, from its tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.nn.config import HTCConfig, MaskRCNNConfig, ProposalConfig, PyramidConfig
from napari_sartorius.nn.stock import stock_proposals
from napari_sartorius.zoo.card import InputSize
from napari_sartorius.zoo.checkpoints.checkpoint_format import ImportedNetwork
from napari_sartorius.zoo.checkpoints.facts import Facts
from napari_sartorius.zoo.checkpoints.mmdet.heads import Heads, layer_norm
from napari_sartorius.zoo.checkpoints.mmdet.trunk import describe_trunk, is_efficientnet
from napari_sartorius.zoo.checkpoints.plain_settings import (
    SIZES_KEY,
    read_anchors,
    read_imagenet,
    read_score,
    read_size,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.nn.config import TrunkConfig
    from napari_sartorius.zoo.checkpoints.settings import Settings

TITLE = "Mask R-CNN, Cascade or HTC of mmdetection"
# An anchor is this many strides large.
_SCALE = 8
_OTHERS = (
    ("mask_iou_head.", "a head that scores masks"),
    ("point_head.", "PointRend"),
    ("neck.1.", "a second neck"),
    ("neck.fpn_convs.4.", "a pyramid whose last level is a convolution"),
    ("glbctx_head.", "SCNet"),
)


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
    for part, called in _OTHERS:
        if any(part in name for name in weights):
            raise UserError(f"{path} has {called} ({part}...), which cannot be imported")
    assumed: list[str] = []
    heads = Heads.of(facts)
    trunk = describe_trunk(facts, settings, assumed)
    width = facts.shape("neck.fpn_convs.0.conv.weight")[0]
    parts: dict[str, Any] = {
        "num_classes": heads.classes,
        "trunk": trunk,
        "pyramid": PyramidConfig(
            width=width, norm=layer_norm(facts, "neck.fpn_convs.0"), extra_level=True
        ),
        "proposals": _proposals(facts, trunk, settings, assumed),
        "box_head": heads.box(width),
        "mask_head": heads.mask(),
    }
    architecture = _cascade(heads, parts, assumed) if heads.stages else MaskRCNNConfig(**parts)
    if heads.with_background:
        assumed.append(
            "the weights are of mmdetection's version 1 and run with the arithmetic of version 2, "
            "so boxes and scores differ a little from those of version 1"
        )
    size = InputSize(short_edge=800, long_edge=1333) if trunk.stem_stride == 2 else None
    return ImportedNetwork(
        architecture=architecture,
        normalisation=_normalisation(facts, trunk, settings, assumed),
        input_size=read_size(settings, size, assumed),
        score=read_score(settings),
        assumptions=tuple(assumed),
        whole_grey_levels=True,
    )


def _cascade(heads: Heads, parts: dict[str, Any], assumed: list[str]) -> HTCConfig:
    """The Hybrid Task Cascade, or with all of its own parts off the plain cascade."""
    semantic, flow = heads.semantic(), heads.mask_flow
    if semantic is not None:
        assumed.append("the semantic branch has the size of the second pyramid level")
    return HTCConfig(
        **parts,
        stages=heads.later,
        interleaved=flow or semantic is not None,
        mask_flow=flow,
        semantic=semantic,
    )


def _proposals(
    facts: Facts, trunk: TrunkConfig, settings: Settings, assumed: list[str]
) -> ProposalConfig:
    stock_sizes = tuple(
        (float(_SCALE * stride * trunk.stem_stride // 2),) for stride in (4, 8, 16, 32, 64)
    )
    outputs = facts.shape("rpn_head.rpn_cls.weight")[0]
    sizes, ratios = read_anchors(facts, outputs, settings, stock_sizes, assumed)
    if len(sizes[0]) != 1:
        raise settings.wrong(SIZES_KEY, "one size for each level, as others are ordered otherwise")
    stock = stock_proposals(post_nms_topk_train=2000)
    prefix = "MODEL.RPN."
    pre = 2000 if is_efficientnet(facts) or trunk.stem_stride == 1 else stock.pre_nms_topk_test
    return stock.model_copy(
        update={
            "anchor_sizes": sizes,
            "anchor_ratios": ratios,
            "convolutions": max(1, facts.count(r"^rpn_head\.rpn_conv\.(\d+)\.")),
            "nms_iou": settings.number(f"{prefix}NMS_THRESH", stock.nms_iou),
            "pre_nms_topk_test": settings.count(f"{prefix}PRE_NMS_TOPK_TEST", pre),
            "post_nms_topk_test": settings.count(
                f"{prefix}POST_NMS_TOPK_TEST", stock.post_nms_topk_test
            ),
        }
    )


def _normalisation(
    facts: Facts, trunk: TrunkConfig, settings: Settings, assumed: list[str]
) -> Normalisation:
    """ImageNet's colours, or what timm's second EfficientNets want, which is -1 to 1."""
    if "efficientnetv2" not in trunk.name or "MODEL.PIXEL_MEAN" in settings:
        return read_imagenet(settings, assumed)
    assumed.append("grey levels of 0 to 255 are brought to -1 to 1, red first")
    half = (127.5, 127.5, 127.5)
    return Normalisation(method="fixed", mean=half, std=half, channel_order="RGB")
