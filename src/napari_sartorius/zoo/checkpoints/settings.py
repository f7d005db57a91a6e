"""A detectron2 configuration file: which entries matter, which must have their stock value."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_sartorius.core.errors import UserError

# No entry of a configuration is larger; it also keeps infinity and NaN out.
_LARGEST = 1e9
_STAGES = ["res2", "res3", "res4", "res5"]
_LEVELS = ["p2", "p3", "p4", "p5"]

# Entries that change the network; other values than these cannot be imported.
_STOCK_ONLY: dict[str, tuple[Any, ...]] = {
    "INPUT.FORMAT": ("BGR", "RGB"),
    "MODEL.META_ARCHITECTURE": ("GeneralizedRCNN",),
    "MODEL.MASK_ON": (True,),
    "MODEL.LOAD_PROPOSALS": (False,),
    "MODEL.BACKBONE.NAME": ("build_resnet_fpn_backbone",),
    "MODEL.RESNETS.OUT_FEATURES": (_STAGES,),
    "MODEL.RESNETS.RES4_DILATION": (1,),
    "MODEL.RESNETS.RES5_DILATION": (1,),
    "MODEL.RESNETS.NUM_GROUPS": (1,),
    "MODEL.RESNETS.DEFORM_ON_PER_STAGE": ([False] * 4,),
    "MODEL.FPN.IN_FEATURES": (_STAGES,),
    "MODEL.FPN.FUSE_TYPE": ("sum",),
    "MODEL.PROPOSAL_GENERATOR.NAME": ("RPN",),
    "MODEL.PROPOSAL_GENERATOR.MIN_SIZE": (0,),
    "MODEL.ANCHOR_GENERATOR.NAME": ("DefaultAnchorGenerator",),
    "MODEL.RPN.HEAD_NAME": ("StandardRPNHead",),
    "MODEL.RPN.IN_FEATURES": ([*_LEVELS, "p6"],),
    "MODEL.RPN.BBOX_REG_WEIGHTS": ([1.0, 1.0, 1.0, 1.0],),
    "MODEL.RPN.CONV_DIMS": ([-1],),
    "MODEL.ROI_HEADS.NAME": ("StandardROIHeads", "CascadeROIHeads"),
    "MODEL.ROI_HEADS.IN_FEATURES": (_LEVELS,),
    "MODEL.ROI_BOX_HEAD.NAME": ("FastRCNNConvFCHead",),
    "MODEL.ROI_BOX_HEAD.NUM_CONV": (0,),
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": ("ROIAlignV2",),
    "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": (False,),
    "MODEL.ROI_MASK_HEAD.NAME": ("MaskRCNNConvUpsampleHead",),
    "MODEL.ROI_MASK_HEAD.POOLER_TYPE": ("ROIAlignV2",),
}

# Entries that are read below or by the builder of the architecture.
_READ = re.compile(
    r"INPUT\.(MIN|MAX)_SIZE_TEST|MODEL\.PIXEL_(MEAN|STD)|MODEL\.RESNETS\.STRIDE_IN_1X1"
    r"|MODEL\.ANCHOR_GENERATOR\.(SIZES|ASPECT_RATIOS|OFFSET)"
    r"|MODEL\.RPN\.(NMS_THRESH|(PRE|POST)_NMS_TOPK_(TRAIN|TEST))"
    r"|MODEL\.ROI_HEADS\.(NUM_CLASSES|SCORE_THRESH_TEST)"
    r"|MODEL\.ROI_(BOX|MASK)_HEAD\.POOLER_(RESOLUTION|SAMPLING_RATIO)"
    r"|MODEL\.ROI_BOX_HEAD\.BBOX_REG_WEIGHTS"
    r"|MODEL\.ROI_BOX_CASCADE_HEAD\.(IOUS|BBOX_REG_WEIGHTS)"
)
# Sizes that the tensors themselves tell.
_IN_THE_WEIGHTS = re.compile(
    r"MODEL\.RESNETS\.(DEPTH|NORM|WIDTH_PER_GROUP|RES2_OUT_CHANNELS|STEM_OUT_CHANNELS)"
    r"|MODEL\.FPN\.(NORM|OUT_CHANNELS)"
    r"|MODEL\.ROI_BOX_HEAD\.(NUM_FC|FC_DIM|CONV_DIM|NORM|CLS_AGNOSTIC_BBOX_REG)"
    r"|MODEL\.ROI_MASK_HEAD\.(NUM_CONV|CONV_DIM|NORM|CLS_AGNOSTIC_MASK)"
)
# Entries that have no part in finding objects: training, data, hardware, heads of other networks.
_NO_PART = re.compile(
    r"(SOLVER|DATASETS|DATALOADER|GLOBAL|TEST|INPUT|MODEL\.RETINANET|MODEL\.SEM_SEG_HEAD"
    r"|MODEL\.PANOPTIC_FPN|MODEL\.ROI_KEYPOINT_HEAD)\..*"
    r"|OUTPUT_DIR|SEED|VIS_PERIOD|CUDNN_BENCHMARK|VERSION|FLOAT32_PRECISION"
    r"|MODEL\.(WEIGHTS|DEVICE|KEYPOINT_ON|BACKBONE\.FREEZE_AT)"
    r"|MODEL\.RESNETS\.DEFORM_(MODULATED|NUM_GROUPS)|MODEL\.ANCHOR_GENERATOR\.ANGLES"
    r"|MODEL\.RPN\.(IOU_\w+|BATCH_SIZE_PER_IMAGE|POSITIVE_FRACTION|LOSS_WEIGHT|SMOOTH_L1_BETA"
    r"|BOUNDARY_THRESH|BBOX_REG_LOSS_\w+)"
    r"|MODEL\.ROI_HEADS\.(IOU_\w+|BATCH_SIZE_PER_IMAGE|POSITIVE_FRACTION|PROPOSAL_APPEND_GT)"
    r"|MODEL\.ROI_BOX_HEAD\.(SMOOTH_L1_BETA|BBOX_REG_LOSS_\w+|TRAIN_ON_PRED_BOXES|\w*FED_LOSS\w*)"
)
_CHOSEN_LATER = {
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": "chosen when segmenting (box_nms)",
    "TEST.DETECTIONS_PER_IMAGE": "chosen when segmenting (max_objects_per_tile)",
}


@dataclass(frozen=True)
class Settings:
    """Entries of a configuration by dotted key; empty when none was given.

    Attributes
    ----------
    path
        The file, for errors; None when there is none.
    values
        All entries.
    notes
        What became of entries that were not simply used.
    """

    path: Path | None = None
    values: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def number(self, key: str, default: float) -> float:
        """One number."""
        value = self.values.get(key, default)
        if not _is_number(value):
            raise self.wrong(key, "one number")
        return float(value)

    def count(self, key: str, default: int) -> int:
        """One whole number from 1 on."""
        value = self.number(key, default)
        if value < 1 or value != int(value):
            raise self.wrong(key, "a whole number from 1 on")
        return int(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def numbers(self, key: str, default: tuple[float, ...], count: int = 0) -> tuple[float, ...]:
        """Several numbers; `count` of them where it is not 0."""
        value = self.values.get(key, default)
        flat = isinstance(value, list | tuple) and all(_is_number(v) for v in value)
        if not flat or not value or (count and len(value) != count):
            raise self.wrong(key, f"a list of {count or 'some'} numbers")
        return tuple(float(v) for v in value)

    def rows(
        self, key: str, default: tuple[tuple[float, ...], ...]
    ) -> tuple[tuple[float, ...], ...]:
        """Lists of numbers above 0 in a list."""
        value = self.values.get(key, default)
        if not isinstance(value, list | tuple) or not value:
            raise self.wrong(key, "lists of numbers")
        for row in value:
            plain = isinstance(row, list | tuple) and row and all(map(_is_number, row))
            if not plain or min(row) <= 0:
                raise self.wrong(key, "lists of numbers above 0")
        return tuple(tuple(float(v) for v in row) for row in value)

    def wrong(self, key: str, expected: str) -> UserError:
        """Sentence for an entry that cannot be understood."""
        return UserError(
            f"{self.path}: {key} is {self.values.get(key)!r}, expected {expected}; correct the "
            "configuration"
        )


def read_settings(path: Path) -> Settings:
    """Read a detectron2 YAML, in full or with the entries that differ from ``_BASE_``.

    Raises
    ------
    UserError
        When the file is no such configuration, or an entry asks for a network that cannot be
        imported.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(
            f"{path} is not a readable YAML file; give the configuration of the training run"
        ) from error
    if not isinstance(content, dict) or not {"MODEL", "_BASE_"} & set(content):
        raise UserError(
            f"{path} is not a detectron2 configuration: it has no section MODEL; give the "
            "config.yaml of the training run"
        )
    values: dict[str, Any] = {}
    notes: dict[str, str] = {}
    if "_BASE_" in content:
        notes["_BASE_"] = (
            f"{content.pop('_BASE_')} was not read; what this file does not say is taken as in "
            "detectron2's stock Mask R-CNN"
        )
    _flatten("", content, values)
    for key, value in values.items():
        note = _judge(path, key, value)
        if note:
            notes[key] = note
    return Settings(path, values, notes)


def _flatten(prefix: str, section: dict[Any, Any], into: dict[str, Any]) -> None:
    for key, value in section.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            _flatten(f"{name}.", value, into)
        else:
            into[name] = _plain(value)


def _plain(value: Any) -> Any:
    """A value as detectron2 reads it: tuples are written as text there."""
    if isinstance(value, str) and value[:1] in ("(", "["):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _judge(path: Path, key: str, value: Any) -> str | None:
    """What to report about an entry; refuses what changes the network in an unknown way."""
    if key in _STOCK_ONLY:
        if value not in _STOCK_ONLY[key]:
            allowed = " or ".join(str(v) for v in _STOCK_ONLY[key])
            raise UserError(
                f"{path}: {key} is {value}, but only networks with {allowed} can be imported"
            )
        return None
    if key in _CHOSEN_LATER:
        return _CHOSEN_LATER[key]
    if _READ.fullmatch(key) or _IN_THE_WEIGHTS.fullmatch(key) or _NO_PART.fullmatch(key):
        return None
    if key.startswith("MODEL."):
        raise UserError(
            f"{path} sets {key}, which changes the network in a way that cannot be imported; "
            "only detectron2's stock Mask R-CNN entries are known"
        )
    return "not known and not used"


def _is_number(value: Any) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and abs(value) < _LARGEST
