"""What the names and shapes of a checkpoint's tensors say about its network."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sartorius.nn.config.norms import Norm
from napari_sartorius.zoo.checkpoints.detectron2.trunk import TrunkShapes, read_trunk
from napari_sartorius.zoo.checkpoints.facts import Facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class NetworkShapes:
    """Every size of a Mask R-CNN with a feature pyramid that its tensors tell.

    Attributes
    ----------
    trunk
        Of the residual network.
    pyramid_width, anchors_per_place, num_classes
        What the names say.
    pyramid_norm, box_norm, mask_norm
        What follows the convolutions there.
    box_stages
        How many box heads refine each other in a cascade; 0 where there is one plain head.
    box_convolutions, box_conv_width, box_layers, box_width, box_resolution, box_class_agnostic
        Of each box head.
    mask_layers, mask_width, mask_class_agnostic
        Of the mask head.
    """

    trunk: TrunkShapes
    pyramid_width: int
    pyramid_norm: Norm
    anchors_per_place: int
    num_classes: int
    box_stages: int
    box_convolutions: int
    box_conv_width: int
    box_norm: Norm
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
    width = facts.shape("backbone.fpn_output2.weight")[0]
    stages = facts.count(r"^roi_heads\.box_head\.(\d+)\.fc1\.weight")
    stage = "0." if stages else ""
    head, predictor = f"roi_heads.box_head.{stage}", f"roi_heads.box_predictor.{stage}"
    convolutions = facts.count(rf"^{re.escape(head)}conv(\d+)\.weight")
    conv_width = facts.shape(f"{head}conv1.weight")[0] if convolutions else width
    pooled = facts.shape(f"{head}fc1.weight")
    resolution = math.isqrt(pooled[1] // conv_width)
    if resolution * resolution * conv_width != pooled[1]:
        raise facts.odd(f"{head}fc1.weight")
    classes = facts.shape(f"{predictor}cls_score.weight")[0] - 1
    deltas = facts.shape(f"{predictor}bbox_pred.weight")[0]
    if classes < 1 or deltas not in (4, 4 * classes):
        raise facts.odd(f"{predictor}bbox_pred.weight")
    masks = facts.shape("roi_heads.mask_head.predictor.weight")[0]
    if masks not in (1, classes):
        raise facts.odd("roi_heads.mask_head.predictor.weight")
    return NetworkShapes(
        trunk=read_trunk(facts),
        pyramid_width=width,
        pyramid_norm=facts.norm("backbone.fpn_output2"),
        anchors_per_place=facts.shape("proposal_generator.rpn_head.objectness_logits.weight")[0],
        num_classes=classes,
        box_stages=stages,
        box_convolutions=convolutions,
        box_conv_width=conv_width if convolutions else 256,
        box_norm=facts.norm(f"{head}conv1"),
        box_layers=facts.count(rf"^{re.escape(head)}fc(\d+)\.weight"),
        box_width=pooled[0],
        box_resolution=resolution,
        box_class_agnostic=deltas == 4 and (classes > 1 or stages > 0),
        mask_layers=facts.count(r"^roi_heads\.mask_head\.mask_fcn(\d+)\.weight"),
        mask_width=facts.shape("roi_heads.mask_head.deconv.weight")[0],
        mask_norm=facts.norm("roi_heads.mask_head.mask_fcn1"),
        mask_class_agnostic=masks == 1 and classes > 1,
    )
