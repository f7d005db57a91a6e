"""What the entries of a configuration mean to CenterMask2's networks."""

from __future__ import annotations

import re
from typing import Any

from napari_sartorius.zoo.checkpoints.setting_rules import SettingRules

# Entries that change the network; other values than these cannot be imported.
_STOCK_ONLY: dict[str, tuple[Any, ...]] = {
    "INPUT.FORMAT": ("BGR", "RGB"),
    "MODEL.META_ARCHITECTURE": ("GeneralizedRCNN",),
    "MODEL.MASK_ON": (True,),
    "MODEL.LOAD_PROPOSALS": (False,),
    "MODEL.MOBILENET": (False,),
    "MODEL.BACKBONE.NAME": ("build_fcos_vovnet_fpn_backbone", "build_fcos_resnet_fpn_backbone"),
    "MODEL.FPN.IN_FEATURES": (["stage3", "stage4", "stage5"], ["res3", "res4", "res5"]),
    "MODEL.FPN.FUSE_TYPE": ("sum",),
    "MODEL.PROPOSAL_GENERATOR.NAME": ("FCOS",),
    "MODEL.FCOS.IN_FEATURES": (["p3", "p4", "p5", "p6", "p7"],),
    "MODEL.FCOS.FPN_STRIDES": ([8, 16, 32, 64, 128],),
    "MODEL.FCOS.TOP_LEVELS": (2,),
    "MODEL.FCOS.NORM": ("GN",),
    "MODEL.FCOS.USE_SCALE": (True,),
    "MODEL.FCOS.USE_RELU": (True,),
    "MODEL.FCOS.USE_DEFORMABLE": (False,),
    "MODEL.FCOS.NUM_SHARE_CONVS": (0,),
    "MODEL.FCOS.THRESH_WITH_CTR": (False,),
    "MODEL.ROI_HEADS.NAME": ("CenterROIHeads",),
    "MODEL.ROI_HEADS.IN_FEATURES": (["p3", "p4", "p5"],),
    "MODEL.ROI_MASK_HEAD.NAME": ("SpatialAttentionMaskHead",),
    "MODEL.ROI_MASK_HEAD.ASSIGN_CRITERION": ("ratio",),
    "MODEL.ROI_MASK_HEAD.POOLER_TYPE": ("ROIAlignV2",),
    "MODEL.ROI_MASKIOU_HEAD.NAME": ("MaskIoUHead",),
}

_READ = re.compile(
    r"INPUT\.(MIN|MAX)_SIZE_TEST|MODEL\.PIXEL_(MEAN|STD)|MODEL\.RESNETS\.STRIDE_IN_1X1"
    r"|MODEL\.FCOS\.(NUM_CLASSES|(PRE|POST)_NMS_TOPK_(TRAIN|TEST)|INFERENCE_TH_TEST|NMS_TH"
    r"|SIZES_OF_INTEREST|POS_RADIUS|PRIOR_PROB|LOSS_(ALPHA|GAMMA))"
    r"|MODEL\.ROI_HEADS\.NUM_CLASSES"
    r"|MODEL\.ROI_MASK_HEAD\.POOLER_(RESOLUTION|SAMPLING_RATIO)"
)
# What the names and shapes of the tensors tell.
_IN_THE_WEIGHTS = re.compile(
    r"MODEL\.(VOVNET|RESNETS)\.\w+|MODEL\.FPN\.(NORM|OUT_CHANNELS)|MODEL\.MASKIOU_ON"
    r"|MODEL\.FCOS\.NUM_(CLS|BOX)_CONVS"
    r"|MODEL\.ROI_MASK_HEAD\.(NUM_CONV|CONV_DIM|NORM|CLS_AGNOSTIC_MASK)"
    r"|MODEL\.ROI_MASKIOU_HEAD\.(NUM_CONV|CONV_DIM)"
)
# Entries that have no part in finding objects: training, data, hardware, heads of other networks.
_NO_PART = re.compile(
    r"(SOLVER|DATASETS|DATALOADER|GLOBAL|TEST|INPUT)\..*"
    r"|MODEL\.(RPN|ANCHOR_GENERATOR|ROI_BOX_HEAD|ROI_BOX_CASCADE_HEAD|ROI_KEYPOINT_HEAD|RETINANET"
    r"|SEM_SEG_HEAD|PANOPTIC_FPN)\..*"
    r"|OUTPUT_DIR|SEED|VIS_PERIOD|CUDNN_BENCHMARK|VERSION|FLOAT32_PRECISION"
    r"|MODEL\.(WEIGHTS|DEVICE|KEYPOINT_ON|BACKBONE\.FREEZE_AT|PROPOSAL_GENERATOR\.MIN_SIZE)"
    r"|MODEL\.MASKIOU_LOSS_WEIGHT|MODEL\.FCOS\.(INFERENCE_TH_TRAIN|CENTER_SAMPLE|LOC_LOSS_TYPE)"
    r"|MODEL\.ROI_HEADS\.(IOU_\w+|BATCH_SIZE_PER_IMAGE|POSITIVE_FRACTION|PROPOSAL_APPEND_GT)"
)
_NOT_USED = {
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": "has no effect on this kind of network",
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": "has no effect on this kind of network",
    "TEST.DETECTIONS_PER_IMAGE": "has no effect on this kind of network (POST_NMS_TOPK_TEST has)",
}

RULES = SettingRules(
    stock_only=_STOCK_ONLY,
    known=(_READ, _IN_THE_WEIGHTS, _NO_PART),
    notes=_NOT_USED,
    called="CenterMask2",
)
