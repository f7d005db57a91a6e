"""What the entries of a configuration mean to detectron2's R-CNNs."""

from __future__ import annotations

import re
from typing import Any

from napari_sartorius.zoo.checkpoints.setting_rules import SettingRules

_STAGES = ["res2", "res3", "res4", "res5"]
_LEVELS = ["p2", "p3", "p4", "p5"]

# Entries that change the network; other values than these cannot be imported.
_STOCK_ONLY: dict[str, tuple[Any, ...]] = {
    "INPUT.FORMAT": ("BGR", "RGB"),
    "MODEL.META_ARCHITECTURE": ("GeneralizedRCNN",),
    "MODEL.MASK_ON": (True,),
    "MODEL.LOAD_PROPOSALS": (False,),
    "MODEL.BACKBONE.NAME": ("build_resnet_fpn_backbone", "build_resneSt_fpn_backbone"),
    "MODEL.RESNETS.OUT_FEATURES": (_STAGES,),
    "MODEL.RESNETS.RES4_DILATION": (1,),
    "MODEL.RESNETS.RES5_DILATION": (1,),
    "MODEL.FPN.IN_FEATURES": (_STAGES,),
    "MODEL.FPN.FUSE_TYPE": ("sum",),
    "MODEL.PROPOSAL_GENERATOR.NAME": ("RPN",),
    "MODEL.PROPOSAL_GENERATOR.MIN_SIZE": (0,),
    "MODEL.ANCHOR_GENERATOR.NAME": ("DefaultAnchorGenerator",),
    "MODEL.RPN.HEAD_NAME": ("StandardRPNHead",),
    "MODEL.RPN.BBOX_REG_WEIGHTS": ([1.0, 1.0, 1.0, 1.0],),
    "MODEL.RPN.CONV_DIMS": ([-1],),
    "MODEL.ROI_HEADS.NAME": ("StandardROIHeads", "CascadeROIHeads"),
    "MODEL.ROI_HEADS.IN_FEATURES": (_LEVELS,),
    "MODEL.ROI_BOX_HEAD.NAME": ("FastRCNNConvFCHead",),
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": ("ROIAlignV2",),
    "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": (False,),
    "MODEL.ROI_MASK_HEAD.NAME": ("MaskRCNNConvUpsampleHead",),
    "MODEL.ROI_MASK_HEAD.POOLER_TYPE": ("ROIAlignV2",),
}

# Entries that are read below or by the builder of the architecture.
_READ = re.compile(
    r"INPUT\.(MIN|MAX)_SIZE_TEST|MODEL\.PIXEL_(MEAN|STD)|MODEL\.RESNETS\.STRIDE_IN_1X1"
    r"|MODEL\.RESNETS\.(NUM_GROUPS|RADIX|DEEP_STEM|AVD|AVG_DOWN|DEFORM_(ON_PER_STAGE|MODULATED))"
    r"|MODEL\.ANCHOR_GENERATOR\.(SIZES|ASPECT_RATIOS|OFFSET)"
    r"|MODEL\.RPN\.(IN_FEATURES|NMS_THRESH|(PRE|POST)_NMS_TOPK_(TRAIN|TEST))"
    r"|MODEL\.ROI_HEADS\.(NUM_CLASSES|(SCORE|NMS)_THRESH_TEST)|TEST\.DETECTIONS_PER_IMAGE"
    r"|MODEL\.ROI_(BOX|MASK)_HEAD\.POOLER_(RESOLUTION|SAMPLING_RATIO)"
    r"|MODEL\.ROI_BOX_HEAD\.BBOX_REG_WEIGHTS"
    r"|MODEL\.ROI_BOX_CASCADE_HEAD\.(IOUS|BBOX_REG_WEIGHTS)"
)
# Sizes that the tensors themselves tell.
_IN_THE_WEIGHTS = re.compile(
    r"MODEL\.RESNETS\.(DEPTH|NORM|WIDTH_PER_GROUP|RES2_OUT_CHANNELS|STEM_OUT_CHANNELS"
    r"|BOTTLENECK_WIDTH|DEFORM_NUM_GROUPS)"
    r"|MODEL\.FPN\.(NORM|OUT_CHANNELS)"
    r"|MODEL\.ROI_BOX_HEAD\.(NUM_CONV|NUM_FC|FC_DIM|CONV_DIM|NORM|CLS_AGNOSTIC_BBOX_REG)"
    r"|MODEL\.ROI_MASK_HEAD\.(NUM_CONV|CONV_DIM|NORM|CLS_AGNOSTIC_MASK)"
)
# Entries that have no part in finding objects: training, data, hardware, heads of other networks.
_NO_PART = re.compile(
    r"(SOLVER|DATASETS|DATALOADER|GLOBAL|TEST|INPUT|MODEL\.RETINANET|MODEL\.SEM_SEG_HEAD"
    r"|MODEL\.PANOPTIC_FPN|MODEL\.ROI_KEYPOINT_HEAD)\..*"
    r"|OUTPUT_DIR|SEED|VIS_PERIOD|CUDNN_BENCHMARK|VERSION|FLOAT32_PRECISION"
    r"|MODEL\.(WEIGHTS|DEVICE|KEYPOINT_ON|BACKBONE\.FREEZE_AT)"
    r"|MODEL\.ANCHOR_GENERATOR\.ANGLES"
    r"|MODEL\.RPN\.(IOU_\w+|BATCH_SIZE_PER_IMAGE|POSITIVE_FRACTION|LOSS_WEIGHT|SMOOTH_L1_BETA"
    r"|BOUNDARY_THRESH|BBOX_REG_LOSS_\w+)"
    r"|MODEL\.ROI_HEADS\.(IOU_\w+|BATCH_SIZE_PER_IMAGE|POSITIVE_FRACTION|PROPOSAL_APPEND_GT)"
    r"|MODEL\.ROI_BOX_HEAD\.(SMOOTH_L1_BETA|BBOX_REG_LOSS_\w+|TRAIN_ON_PRED_BOXES|\w*FED_LOSS\w*)"
)

RULES = SettingRules(
    stock_only=_STOCK_ONLY,
    known=(_READ, _IN_THE_WEIGHTS, _NO_PART),
    notes={},
    called="detectron2's stock Mask R-CNN",
)
