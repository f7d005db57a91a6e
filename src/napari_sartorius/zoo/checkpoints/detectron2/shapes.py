"""What the names and shapes of a checkpoint's tensors say about its network."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.zoo.checkpoints.facts import Facts, Norm

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_DEPTHS: dict[tuple[str, tuple[int, ...]], int] = {
    ("basic", (2, 2, 2, 2)): 18,
    ("basic", (3, 4, 6, 3)): 34,
    ("bottleneck", (3, 4, 6, 3)): 50,
    ("bottleneck", (3, 4, 23, 3)): 101,
    ("bottleneck", (3, 8, 36, 3)): 152,
}
_USUAL_WIDTHS = (64, 128, 256, 512)


@dataclass(frozen=True)
class NetworkShapes:
    """Every size of a Mask R-CNN with a feature pyramid that its tensors tell.

    Attributes
    ----------
    depth
        Layers of the residual network: 18, 34, 50, 101 or 152.
    widths
        Channels of the residual stages where they are not the usual ones.
    in_channels, pyramid_width, anchors_per_place, num_classes
        What the names say.
    pyramid_norm, mask_norm
        Whether convolutions there are followed by batch normalisation.
    box_stages
        How many box heads refine each other in a cascade; 0 where there is one plain head.
    box_layers, box_width, box_resolution, box_class_agnostic, mask_layers, mask_width,
    mask_class_agnostic
        Of the two heads.
    """

    depth: int
    widths: tuple[int, int, int, int] | None
    in_channels: int
    pyramid_width: int
    pyramid_norm: Norm
    anchors_per_place: int
    num_classes: int
    box_stages: int
    box_layers: int
    box_width: int
    box_resolution: int
    box_class_agnostic: bool
    mask_layers: int
    mask_width: int
    mask_norm: Norm
    mask_class_agnostic: bool


def read_shapes(path: Path, weights: Mapping[str, NDArray[Any]]) -> NetworkShapes:
    """Find out the network's sizes.

    Parameters
    ----------
    path
        Named in errors.
    weights
        Tensors by detectron2's names.

    Raises
    ------
    UserError
        When this is another network, or a tensor that tells a size is missing.
    """
    facts = Facts(path, weights, "Mask R-CNN of detectron2")
    blocks = tuple(facts.count(rf"^backbone\.bottom_up\.res{s}\.(\d+)\.") for s in (2, 3, 4, 5))
    kind = "bottleneck" if "backbone.bottom_up.res2.0.conv3.weight" in weights else "basic"
    if (kind, blocks) not in _DEPTHS:
        raise UserError(
            f"{path} holds a residual network with {'-'.join(map(str, blocks))} {kind} blocks; "
            "only ResNets of 18, 34, 50, 101 and 152 layers can be imported"
        )
    inner = facts.shape("backbone.bottom_up.res2.0.conv1.weight")[0]
    if facts.shape("backbone.bottom_up.res2.0.conv2.weight")[1] != inner:
        raise UserError(
            f"{path} holds a ResNeXt (grouped convolutions), which cannot be imported; only "
            "ResNets can"
        )
    width = facts.shape("backbone.fpn_output2.weight")[0]
    stages = facts.count(r"^roi_heads\.box_head\.(\d+)\.fc1\.weight")
    stage = "0." if stages else ""
    head, predictor = f"roi_heads.box_head.{stage}", f"roi_heads.box_predictor.{stage}"
    pooled = facts.shape(f"{head}fc1.weight")
    resolution = math.isqrt(pooled[1] // width)
    if resolution * resolution * width != pooled[1]:
        raise facts.odd(f"{head}fc1.weight")
    classes = facts.shape(f"{predictor}cls_score.weight")[0] - 1
    deltas = facts.shape(f"{predictor}bbox_pred.weight")[0]
    if classes < 1 or deltas not in (4, 4 * classes):
        raise facts.odd(f"{predictor}bbox_pred.weight")
    masks = facts.shape("roi_heads.mask_head.predictor.weight")[0]
    if masks not in (1, classes):
        raise facts.odd("roi_heads.mask_head.predictor.weight")
    widths = tuple(
        facts.shape(f"backbone.bottom_up.res{s}.0.conv1.weight")[0] for s in (2, 3, 4, 5)
    )
    return NetworkShapes(
        depth=_DEPTHS[kind, blocks],
        widths=None if widths == _USUAL_WIDTHS else widths,  # type: ignore[arg-type]
        in_channels=facts.shape("backbone.bottom_up.stem.conv1.weight")[1],
        pyramid_width=width,
        pyramid_norm=facts.norm("backbone.fpn_output2"),
        anchors_per_place=facts.shape("proposal_generator.rpn_head.objectness_logits.weight")[0],
        num_classes=classes,
        box_stages=stages,
        box_layers=facts.count(rf"^{re.escape(head)}fc(\d+)\.weight"),
        box_width=pooled[0],
        box_resolution=resolution,
        box_class_agnostic=deltas == 4 and (classes > 1 or stages > 0),
        mask_layers=facts.count(r"^roi_heads\.mask_head\.mask_fcn(\d+)\.weight"),
        mask_width=facts.shape("roi_heads.mask_head.deconv.weight")[0],
        mask_norm=facts.norm("roi_heads.mask_head.mask_fcn1"),
        mask_class_agnostic=masks == 1 and classes > 1,
    )
