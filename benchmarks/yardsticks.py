"""Other programs' Mask R-CNN with the weights of ours: what our networks are measured against."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch.nn.functional import interpolate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_MEANS = (103.53, 116.28, 123.675)
_TORCHVISION = {
    "trunk.body": "backbone.body",
    "pyramid.lateral": "backbone.fpn.inner_blocks",
    "pyramid.output": "backbone.fpn.layer_blocks",
    "proposals.head.conv": "rpn.head.conv.0.0",
    "proposals.head.objectness": "rpn.head.cls_logits",
    "proposals.head.deltas": "rpn.head.bbox_pred",
    "box_head.layers.0": "roi_heads.box_head.fc6",
    "box_head.layers.2": "roi_heads.box_head.fc7",
    "box_head.class_logits": "roi_heads.box_predictor.cls_score",
    "box_head.deltas": "roi_heads.box_predictor.bbox_pred",
    "mask_head.blocks": "roi_heads.mask_head",
    "mask_head.upsample": "roi_heads.mask_predictor.conv5_mask",
    "mask_head.predictor": "roi_heads.mask_predictor.mask_fcn_logits",
}

Depth = Literal[50, 101]
Finder = Callable[[list["Tensor"], int], list[int]]
"""From (3, H, W) float32 images of 0..255, and the shorter edge that the network shall see, to the
number of objects of each image, whose masks have the image's size."""


def yardstick(
    depth: Depth, classes: int, limit: int, state: Mapping[str, Tensor], device: str
) -> tuple[str, Finder]:
    """Name of the other program, detectron2 where it is installed, and its network.

    Parameters
    ----------
    depth, classes
        Residual layers, and categories without the background.
    limit
        Most detections of an image.
    state
        Weights of ours, as `build_network` names them, not folded.
    device
        Where it runs.
    """
    try:
        return "detectron2", _detectron2(depth, classes, limit, state, device)
    except ImportError:
        return "torchvision", _torchvision(depth, classes, limit, state, device)


def _detectron2(
    depth: Depth, classes: int, limit: int, state: Mapping[str, Tensor], device: str
) -> Finder:
    from detectron2 import model_zoo  # type: ignore[import-not-found]
    from detectron2.config import get_cfg  # type: ignore[import-not-found]
    from detectron2.modeling import build_model  # type: ignore[import-not-found]

    from napari_sartorius.zoo.checkpoints.detectron2.names import renamed

    config = get_cfg()
    file = f"COCO-InstanceSegmentation/mask_rcnn_R_{depth}_FPN_3x.yaml"
    config.merge_from_file(model_zoo.get_config_file(file))
    config.MODEL.DEVICE, config.MODEL.WEIGHTS = device, ""
    config.MODEL.ROI_HEADS.NUM_CLASSES = classes
    config.TEST.DETECTIONS_PER_IMAGE = limit
    network = build_model(config).eval()
    own = network.state_dict()
    network.load_state_dict({n: state[renamed(n)] if renamed(n) in state else own[n] for n in own})

    def run(images: list[Tensor], edge: int) -> list[int]:
        given = [
            {"image": resized(image, edge), "height": image.shape[1], "width": image.shape[2]}
            for image in images
        ]
        with torch.no_grad():
            return [len(found["instances"].pred_masks) for found in network(given)]

    return run


def _torchvision(
    depth: Depth, classes: int, limit: int, state: Mapping[str, Tensor], device: str
) -> Finder:
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.models.detection.mask_rcnn import MaskRCNN
    from torchvision.ops import FrozenBatchNorm2d

    trunk = resnet_fpn_backbone(
        backbone_name=f"resnet{depth}", weights=None, norm_layer=FrozenBatchNorm2d
    )
    network: Any = MaskRCNN(
        trunk,
        num_classes=classes + 1,
        box_detections_per_img=limit,
        rpn_pre_nms_top_n_test=1000,
        image_mean=list(_MEANS),
        image_std=[1.0, 1.0, 1.0],
    ).eval()
    network.load_state_dict(
        {
            _torchvision_name(name): _background_first(name, value)
            for name, value in state.items()
            if not name.endswith("num_batches_tracked")
        }
    )
    network.to(device)

    def run(images: list[Tensor], edge: int) -> list[int]:
        network.transform.min_size = (edge,)
        with torch.inference_mode():
            return [len(found["masks"]) for found in network([i.to(device) for i in images])]

    return run


def resized(image: Tensor, edge: int) -> Tensor:
    """A (3, H, W) image whose shorter edge is `edge`."""
    factor = edge / min(image.shape[1:])
    size = round(image.shape[1] * factor), round(image.shape[2] * factor)
    return interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]


def _torchvision_name(name: str) -> str:
    prefix = next(p for p in _TORCHVISION if name.startswith(f"{p}."))
    return _TORCHVISION[prefix] + name.removeprefix(prefix)


def _background_first(name: str, value: Tensor) -> Tensor:
    """Rows of a predictor in torchvision's order, whose boxes and masks have a background too."""
    if name.startswith("box_head.class_logits."):
        return torch.cat([value[-1:], value[:-1]])
    for predictor, rows in (("box_head.deltas.", 4), ("mask_head.predictor.", 1)):
        if name.startswith(predictor):
            return torch.cat([torch.zeros_like(value[:rows]), value])
    return value
