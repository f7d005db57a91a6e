"""The networks whose parts are timed: one line each, any tree that `build_network` knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from napari_sartorius.nn.centermask import CenterMask
from napari_sartorius.nn.config import (
    BoxHeadConfig,
    CascadeMaskRCNNConfig,
    HTCConfig,
    MaskHeadConfig,
    PointHeadConfig,
    PyramidConfig,
    ResNeStConfig,
    SOLOv2Config,
    VoVNetConfig,
)
from napari_sartorius.nn.solov2 import SOLOv2
from napari_sartorius.nn.stock import (
    stock_cascade_mask_rcnn,
    stock_mask_rcnn,
    stock_pooler,
    stock_proposals,
    stock_trunk,
)
from napari_sartorius.nn.stock_centermask import (
    livecell_centermask,
    stock_centermask,
    stock_centermask_lite,
)
from napari_sartorius.zoo import find_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from napari_sartorius.nn.config import Architecture
    from napari_sartorius.nn.network import Network

# Shorter edge of a 704 x 520 image as the published networks see it; ours see it as it is.
_PUBLISHED, _LITE, _OURS = 800, 600, 520
_CLASSES = 3
# Places that a dense field makes a one-stage detector look at, and cells of SOLOv2's grids.
_FCOS_CANDIDATES, _GRID_CELLS = 1500, 400
# Lowers what an untrained SOLOv2 draws, half of everything, to a small share.
_QUIET_KERNELS = -0.07


class Family(NamedTuple):
    """A network of the table: what it is called, the image's shorter edge, and its tree."""

    name: str
    edge: int
    tree: Callable[[], Architecture]


def _point_rend() -> Architecture:
    tree = stock_mask_rcnn(50, _CLASSES)
    head = tree.mask_head.model_copy(update={"points": PointHeadConfig(width=256)})
    return tree.model_copy(update={"mask_head": head})


def _livecell_cascade() -> Architecture:
    """The network of LIVECell's anchor-based models (Edlund et al. 2021)."""
    sizes = ((4.0,), (9.0,), (17.0,), (31.0,), (64.0,), (127.0,))
    proposals = stock_proposals().model_copy(
        update={
            "anchor_sizes": sizes,
            "anchor_ratios": (0.25, 0.5, 1.0, 2.0, 4.0),
            "levels": (0, 0, 1, 2, 3, 4),
            "pre_nms_topk_test": 6000,
            "post_nms_topk_test": 3000,
        }
    )
    return CascadeMaskRCNNConfig(
        num_classes=1,
        trunk=ResNeStConfig(depth=200, deformable=True),
        pyramid=PyramidConfig(width=256, norm="batch", extra_level=True),
        proposals=proposals,
        box_head=BoxHeadConfig(
            pooler=stock_pooler(7),
            convolutions=4,
            conv_width=256,
            norm="batch",
            layers=1,
            width=1024,
            class_agnostic=True,
        ),
        mask_head=MaskHeadConfig(pooler=stock_pooler(14), width=256, layers=8, norm="batch"),
    )


def _hybrid() -> Architecture:
    """Hybrid Task Cascade R50 with its semantic branch (Chen et al. 2019)."""
    plain = stock_cascade_mask_rcnn(_CLASSES)
    return HTCConfig(
        num_classes=_CLASSES,
        trunk=plain.trunk,
        pyramid=plain.pyramid,
        proposals=plain.proposals,
        box_head=plain.box_head,
        mask_head=plain.mask_head,
    )


def _centermask_resnet() -> Architecture:
    tree = stock_centermask(VoVNetConfig(), _CLASSES)
    return tree.model_copy(update={"trunk": stock_trunk("resnet50")})


def _solo() -> Architecture:
    return SOLOv2Config(num_classes=_CLASSES, trunk=stock_trunk("resnet50"))


FAMILIES = (
    Family("neurons (bundled)", _OURS, lambda: find_bundle("neurons").card.architecture),
    Family("nuclei (bundled)", _OURS, lambda: find_bundle("nuclei").card.architecture),
    Family("Mask R-CNN R50-FPN", _PUBLISHED, lambda: stock_mask_rcnn(50, _CLASSES)),
    Family("Mask R-CNN R101-FPN", _PUBLISHED, lambda: stock_mask_rcnn(101, _CLASSES)),
    Family("Mask R-CNN R50-FPN with PointRend", _PUBLISHED, _point_rend),
    Family("Cascade Mask R-CNN R50-FPN", _PUBLISHED, lambda: stock_cascade_mask_rcnn(_CLASSES)),
    Family("Cascade Mask R-CNN ResNeSt-200-DCN (LIVECell)", _PUBLISHED, _livecell_cascade),
    Family("HTC R50-FPN", _PUBLISHED, _hybrid),
    Family("CenterMask R50-FPN", _PUBLISHED, _centermask_resnet),
    Family("CenterMask2 V-99 (LIVECell)", _PUBLISHED, livecell_centermask),
    Family(
        "CenterMask2-Lite V-39",
        _LITE,
        lambda: stock_centermask_lite(VoVNetConfig(size="39"), _CLASSES),
    ),
    Family("SOLOv2 R50-FPN", _OURS, _solo),
)


@torch.no_grad()
def wake(network: Network, batch: Tensor) -> None:
    """Let an untrained one-stage network find about as much as a trained one in a dense field.

    Its first answer is that there is nothing anywhere, which would leave half of its parts without
    work. Those with proposals find something everywhere as they are.
    """
    if isinstance(network, CenterMask):
        logits = torch.cat([level.flatten() for level in network.fcos(network.features(batch))[0]])
        least = torch.logit(torch.tensor(network.config.fcos.candidate_score))
        _shift(network.fcos.classes, logits, _FCOS_CANDIDATES, least)
    elif isinstance(network, SOLOv2):
        grids = network.grids(network.features(batch), (batch.shape[2], batch.shape[3]))
        logits = torch.cat([grid.logits.flatten() for grid in grids])
        _shift(network.grid_head.categories, logits, _GRID_CELLS, torch.tensor(0.0))
        kernels = network.grid_head.kernels
        assert kernels.bias is not None
        kernels.bias[: network.grid_head.learnt] = _QUIET_KERNELS


def _shift(layer: torch.nn.Conv2d, logits: Tensor, count: int, least: Tensor) -> None:
    """Change a bias so that so many of these logits would be above the least one that counts."""
    assert layer.bias is not None
    layer.bias += least - logits.topk(min(count, len(logits))).values[-1]
