"""What published checkpoints need and do not say themselves, when no configuration is given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import agree, plural

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.zoo.checkpoints.detectron2.shapes import NetworkShapes
    from napari_sartorius.zoo.checkpoints.settings import Settings

# Edlund et al. 2021, the same for all nine anchor-based models.
_LIVECELL: dict[str, Any] = {
    "INPUT.FORMAT": "BGR",
    "MODEL.PIXEL_MEAN": [128.0, 128.0, 128.0],
    "MODEL.PIXEL_STD": [11.578, 11.578, 11.578],
    "MODEL.ANCHOR_GENERATOR.SIZES": [[4], [9], [17], [31], [64], [127]],
    "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS": [[0.25, 0.5, 1.0, 2.0, 4.0]],
    "MODEL.RPN.IN_FEATURES": ["p2", "p2", "p3", "p4", "p5", "p6"],
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": 12000,
    "MODEL.RPN.PRE_NMS_TOPK_TEST": 6000,
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": 3000,
    "MODEL.RPN.POST_NMS_TOPK_TEST": 3000,
    "INPUT.MIN_SIZE_TEST": 800,
    "INPUT.MAX_SIZE_TEST": 1333,
}
# The 7th place of the Sartorius competition started from them and enlarged its images more.
_TRAIN4EVER = {"INPUT.MIN_SIZE_TEST": 1024, "INPUT.MAX_SIZE_TEST": 2000}
_TRAIN4EVER_TRUNK = "build_resneSt_fpn_backbone"
_NAME, _CLASSES = "MODEL.BACKBONE.NAME", "MODEL.ROI_HEADS.NUM_CLASSES"
# detectron2's X101, which comes from Caffe2.
_RESNEXT = {"MODEL.PIXEL_STD": [57.375, 57.12, 58.395]}


def as_published(
    path: Path,
    weights: Mapping[str, NDArray[Any]],
    shapes: NetworkShapes,
    settings: Settings,
    assumed: list[str],
) -> Settings:
    """Settings with what the publishers of such a checkpoint set elsewhere.

    Parameters
    ----------
    path
        The checkpoint, for errors.
    weights
        What is stored there is taken from there.
    shapes
        From `read_shapes`.
    settings
        From a configuration, which is believed, or empty.
    assumed
        A sentence is added when anything is taken for granted.

    Raises
    ------
    UserError
        When such networks differ too much for a guess.
    """
    if settings.path is not None:
        return _from_train4ever(shapes, settings, assumed)
    if shapes.trunk.kind == "resnest":
        if shapes.anchors_per_place != 5:
            raise UserError(
                f"{path} has a ResNeSt trunk and no published LIVECell anchors; give the "
                "configuration of the training run with --config, so that grey levels and anchors "
                "are known"
            )
        entries = _LIVECELL | (_TRAIN4EVER if shapes.num_classes == 3 else {})
        whose = "the 7th Sartorius place" if shapes.num_classes == 3 else "LIVECell"
        assumed.append(
            f"anchors, grey levels (128, 11.578) and image size ({entries['INPUT.MIN_SIZE_TEST']} "
            f"pixels) are those that {whose} published for its ResNeSt-200 detectors"
        )
    elif shapes.trunk.groups > 1:
        entries = _RESNEXT
        assumed.append(
            "grey levels are divided by 57.375, 57.12, 58.395 (blue, green, red) as for "
            "detectron2's X101"
        )
    else:
        return settings
    if "pixel_mean" in weights and "pixel_std" in weights:
        entries = {key: v for key, v in entries.items() if not key.startswith("MODEL.PIXEL_")}
    return replace(settings, values={**entries})


def _from_train4ever(shapes: NetworkShapes, settings: Settings, assumed: list[str]) -> Settings:
    """Their program set classes and image size in code; the file kept LIVECell's."""
    if settings.values.get(_NAME) != _TRAIN4EVER_TRUNK:
        return settings
    sizes = {key: settings.values.get(key, value) for key, value in _TRAIN4EVER.items()}
    assumed.append(
        f"images are brought to a shorter edge of {sizes['INPUT.MIN_SIZE_TEST']} pixels and there "
        f"{agree(shapes.num_classes, 'is', 'are')} "
        f"{plural(shapes.num_classes, 'class', 'classes')}, as the program of the 7th Sartorius "
        "place set in code"
    )
    changed = {**settings.values, **sizes, _CLASSES: shapes.num_classes}
    return replace(settings, values=changed)
