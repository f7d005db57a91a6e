"""Small models as the installed detectron2 builds them, with weights that find something."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# A narrow network with detectron2's own structure: seconds become tenths.
NARROW = """
  RESNETS: {STEM_OUT_CHANNELS: 16, RES2_OUT_CHANNELS: 64, WIDTH_PER_GROUP: 16}
  FPN: {OUT_CHANNELS: 32}
  ROI_HEADS: {NUM_CLASSES: 3}
  ROI_BOX_HEAD: {FC_DIM: 64}
  ROI_MASK_HEAD: {CONV_DIM: 32, NUM_CONV: 2}
  RPN: {POST_NMS_TOPK_TEST: 200}
"""
POINT_REND = """
  ROI_HEADS: {NUM_CLASSES: 3}
  ROI_MASK_HEAD:
    {POOLER_TYPE: "", NAME: PointRendMaskHead, FC_DIM: 64, NUM_FC: 2, OUTPUT_SIDE_RESOLUTION: 7,
     IN_FEATURES: [p2], POINT_HEAD_ON: true, CONV_DIM: 32}
  POINT_HEAD: {FC_DIM: 32, NUM_FC: 3, IN_FEATURES: [p2], NUM_CLASSES: 3, SUBDIVISION_STEPS: 3}
  RESNETS: {STEM_OUT_CHANNELS: 16, RES2_OUT_CHANNELS: 64, WIDTH_PER_GROUP: 16}
  FPN: {OUT_CHANNELS: 32}
  ROI_BOX_HEAD: {FC_DIM: 64}
  RPN: {POST_NMS_TOPK_TEST: 200}
"""
DEEP_LAB = """
  META_ARCHITECTURE: PanopticDeepLab
  PIXEL_MEAN: [123.675, 116.280, 103.530]
  PIXEL_STD: [58.395, 57.120, 57.375]
  BACKBONE: {FREEZE_AT: 0, NAME: build_resnet_deeplab_backbone}
  RESNETS:
    {DEPTH: 50, OUT_FEATURES: [res2, res3, res5], RES5_DILATION: 2, RES5_MULTI_GRID: [1, 2, 4],
     STEM_TYPE: deeplab, STEM_OUT_CHANNELS: 16, STRIDE_IN_1X1: false, NORM: BN,
     RES2_OUT_CHANNELS: 64, WIDTH_PER_GROUP: 16}
  SEM_SEG_HEAD:
    {NAME: PanopticDeepLabSemSegHead, IN_FEATURES: [res2, res3, res5],
     PROJECT_FEATURES: [res2, res3], PROJECT_CHANNELS: [8, 8], ASPP_CHANNELS: 32,
     HEAD_CHANNELS: 32, CONVS_DIM: 32, COMMON_STRIDE: 4, NUM_CLASSES: 19,
     LOSS_TYPE: hard_pixel_mining, NORM: BN}
  INS_EMBED_HEAD:
    {NAME: PanopticDeepLabInsEmbedHead, PROJECT_CHANNELS: [8, 8], ASPP_CHANNELS: 32,
     HEAD_CHANNELS: 32, CONVS_DIM: 32, NORM: BN}
  PANOPTIC_DEEPLAB: {STUFF_AREA: 50, CENTER_THRESHOLD: 0.1}
DATASETS: {TRAIN: [cityscapes_fine_panoptic_train]}
INPUT: {FORMAT: RGB}
"""
# How to call it, the file of detectron2's model zoo that it is made from, and what differs.
MODELS: dict[str, tuple[str, str]] = {
    "fpn": ("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml", NARROW),
    "cascade": ("Misc/cascade_mask_rcnn_R_50_FPN_3x.yaml", NARROW),
    "c4": ("COCO-InstanceSegmentation/mask_rcnn_R_50_C4_3x.yaml", NARROW),
    "dc5": ("COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_3x.yaml", NARROW),
    "group_norm": (
        "Misc/mask_rcnn_R_50_FPN_3x_gn.yaml",
        NARROW.replace("CHANNELS: 16", "CHANNELS: 32").replace("GROUP: 16", "GROUP: 32"),
    ),
    "one_mask_for_all": ("Misc/mask_rcnn_R_50_FPN_1x_cls_agnostic.yaml", NARROW),
    "panoptic": ("COCO-PanopticSegmentation/panoptic_fpn_R_50_3x.yaml", NARROW),
    "point_rend": ("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml", POINT_REND),
    "resnext": (
        "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml",
        NARROW.replace("WIDTH_PER_GROUP: 16", "WIDTH_PER_GROUP: 4, NUM_GROUPS: 4")
        + "INPUT: {MIN_SIZE_TEST: 192}\n",
    ),
    "deep_lab": ("Base-RCNN-FPN.yaml", DEEP_LAB),
    "deformable": ("Misc/mask_rcnn_R_50_FPN_3x_dconv_c3-c5.yaml", NARROW),
    "grey": (
        "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml",
        NARROW + "  PIXEL_MEAN: [120.0]\n  PIXEL_STD: [50.0]\nINPUT: {FORMAT: L}\n",
    ),
}


@dataclass(frozen=True)
class Original:
    """A model of detectron2, untouched by us, and the files that a lab would have of it."""

    model: Any
    checkpoint: Path
    config: Path


def zoo_file(name: str) -> Path:
    """Where the installed detectron2 keeps a configuration of its model zoo."""
    import detectron2

    return Path(detectron2.__file__).parent / "model_zoo" / "configs" / name


def make_original(kind: str, folder: Path, image: NDArray[np.float32]) -> Original:
    """Build a model by detectron2's own means and save its checkpoint and configuration.

    Parameters
    ----------
    kind
        Of `MODELS`.
    folder
        Where the files go.
    image : (3, Y, X) float32
        What the model shall find something in; grey levels.
    """
    base, changes = MODELS[kind]
    config = folder / f"{kind}.yaml"
    config.write_text(f"_BASE_: {zoo_file(base)}\nMODEL:{changes}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from detectron2.config import get_cfg
        from detectron2.modeling import build_model

        cfg = get_cfg()
        for project in ("point_rend", "panoptic_deeplab"):
            with suppress(ImportError):
                added = import_module(f"detectron2.projects.{project}")
                getattr(added, f"add_{project.replace('point_', 'point')}_config")(cfg)
        cfg.merge_from_file(str(config))
        cfg.MODEL.DEVICE = "cpu"
        torch.manual_seed(3)
        model = build_model(cfg).eval()
        for name, weight in model.named_parameters():
            if name.endswith("conv2_offset.weight"):  # zeros at first
                weight.data.normal_()
        _spread(model, image)
    checkpoint = folder / f"{kind}.pth"
    torch.save({"model": model.state_dict(), "iteration": 1}, checkpoint)
    return Original(model, checkpoint, config)


# Layers that decide, and how far their answers shall spread: as initialised they are all alike.
_SPREADS = {
    "conv2_offset": 1.0,
    "objectness_logits": 3.0,
    "anchor_deltas": 0.3,
    "cls_score": 3.0,
    "bbox_pred": 1.0,
    "mask_head.predictor": 3.0,
    "coarse_head.prediction": 3.0,
    "point_head.predictor": 3.0,
    "center_predictor": 0.5,
    "offset_predictor": 10.0,
    "sem_seg_head.predictor": 3.0,
}


def _spread(model: Any, image: NDArray[np.float32]) -> None:
    """Scale the deciding layers one after the other while the model looks at an image."""
    hooks = []
    for name, layer in model.named_modules():
        for end, spread in _SPREADS.items():
            # Some of these layers stand in a list of their own.
            named = name.endswith(end) or name.rpartition(".")[0].endswith(end)
            if named and hasattr(layer, "weight"):
                hooks.append(layer.register_forward_hook(_Scale(spread)))
    with torch.inference_mode():
        pixels = torch.from_numpy(image[: len(model.pixel_mean)])
        model([{"image": pixels, "height": pixels.shape[1], "width": pixels.shape[2]}])
    for hook in hooks:
        hook.remove()


class _Scale:
    """Scales a layer so that its first answer spreads as wanted; later answers follow."""

    def __init__(self, spread: float) -> None:
        self.spread, self.factor = spread, 1.0

    def __call__(self, layer: Any, inputs: Any, answer: torch.Tensor) -> torch.Tensor:
        if self.factor == 1.0 and answer.numel():
            self.factor = self.spread / float(answer.std())
            layer.weight.data *= self.factor
            answer = answer * self.factor
            if answer.ndim == 2:  # of boxes: no category is the usual one
                usual = answer.mean(dim=0)
                layer.bias.data -= usual
                answer = answer - usual
        return answer
