"""The architecture tree and the input of an imported CenterMask, from shapes and configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.nn.config import (
    AreaPoolerConfig,
    AttentiveMaskHeadConfig,
    CenterMaskConfig,
    FCOSConfig,
    TopPyramidConfig,
    TrunkConfig,
    VoVNetConfig,
)
from napari_sartorius.nn.stock_centermask import livecell_centermask, stock_fcos
from napari_sartorius.zoo.checkpoints.centermask.shapes import read_shapes
from napari_sartorius.zoo.checkpoints.checkpoint_format import ImportedNetwork
from napari_sartorius.zoo.checkpoints.network_input import (
    STOCK_MEAN,
    read_input_size,
    read_normalisation,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.nn.config import AnyTrunk
    from napari_sartorius.zoo.checkpoints.centermask.shapes import CenterMaskShapes
    from napari_sartorius.zoo.checkpoints.settings import Settings

_LIVECELL_MEAN, _LIVECELL_STD = (128.0, 128.0, 128.0), (11.578, 11.578, 11.578)
# What CenterMask2's code does where a configuration and what it is based on are silent.
_BOXES_BY_DEFAULT = 100


def describe(
    path: Path, weights: Mapping[str, NDArray[Any]], settings: Settings
) -> ImportedNetwork:
    """Put together what shapes, stored constants and configuration say.

    A V-99 of one class without a configuration is taken for one of LIVECell's anchor-free models,
    whose grey levels and limits differ from those of the other published networks and are not to
    be seen in the weights.

    Parameters
    ----------
    path
        The checkpoint, for errors.
    weights
        Tensors by CenterMask2's names; stored means are read, where there are any.
    settings
        From a configuration, or empty.

    Raises
    ------
    UserError
        When they contradict each other.
    """
    shapes = read_shapes(path, weights)
    for key in ("MODEL.FCOS.NUM_CLASSES", "MODEL.ROI_HEADS.NUM_CLASSES"):
        said = settings.number(key, shapes.num_classes)
        if said != shapes.num_classes:
            raise UserError(
                f"{settings.path} speaks of {plural(int(said), 'class', 'classes')} ({key}) but "
                f"{path} has {shapes.num_classes}; give the configuration with which this "
                "checkpoint was trained"
            )
    assumed: list[str] = []
    livecell = settings.path is None and _may_be_livecell(shapes)
    if livecell:
        assumed.append(
            "a V-99 of one class is one of LIVECell's anchor-free models (grey levels around 128, "
            "up to 3000 cells); give the configuration of the training run if it is another"
        )
    usual = (_LIVECELL_MEAN, _LIVECELL_STD) if livecell else (STOCK_MEAN, (1.0, 1.0, 1.0))
    # A configuration that is based on another leaves to it what all networks of a kind share.
    bare = settings.path is None or "_BASE_" in settings.notes
    size = (600, 1000) if bare and shapes.is_lite else (800, 1333)
    tree = CenterMaskConfig(
        num_classes=shapes.num_classes,
        trunk=_trunk(shapes.trunk, settings, assumed),
        pyramid=TopPyramidConfig(width=shapes.pyramid_width, norm=shapes.pyramid_norm),
        fcos=_fcos(shapes, settings, livecell, bare, assumed),
        mask_head=AttentiveMaskHeadConfig(
            pooler=_pooler(settings),
            layers=shapes.mask_layers,
            width=shapes.mask_width,
            norm=shapes.mask_norm,
            class_agnostic=shapes.mask_class_agnostic,
        ),
        mask_iou_head=shapes.mask_iou,
    )
    return ImportedNetwork(
        architecture=tree,
        normalisation=read_normalisation(path, weights, settings, assumed, usual),
        input_size=read_input_size(settings, assumed, size),
        score=None,
        assumptions=tuple(assumed),
    )


def _may_be_livecell(shapes: CenterMaskShapes) -> bool:
    large = isinstance(shapes.trunk, VoVNetConfig) and shapes.trunk.size == "99"
    return large and shapes.num_classes == 1 and not shapes.is_lite


def _trunk(trunk: AnyTrunk, settings: Settings, assumed: list[str]) -> AnyTrunk:
    """The trunk with what only a configuration tells."""
    if not isinstance(trunk, TrunkConfig):
        return trunk
    key = "MODEL.RESNETS.STRIDE_IN_1X1"
    if key not in settings:
        assumed.append("blocks stride in their 1x1 convolution as in detectron2's own ResNets")
    return trunk.model_copy(update={"stride_in_1x1": settings.flag(key, True)})


def _fcos(
    shapes: CenterMaskShapes, settings: Settings, livecell: bool, bare: bool, assumed: list[str]
) -> FCOSConfig:
    prefix = "MODEL.FCOS."
    stock = livecell_centermask().fcos if livecell else stock_fcos()
    boxes = stock.post_nms_topk_test if bare else _BOXES_BY_DEFAULT
    if f"{prefix}POST_NMS_TOPK_TEST" not in settings and not livecell:
        assumed.append(f"at most {boxes} objects of an image are found (POST_NMS_TOPK_TEST)")
    limits = settings.numbers(f"{prefix}SIZES_OF_INTEREST", stock.level_limits, 4)
    numbers = {
        "candidate_score": "INFERENCE_TH_TEST",
        "nms_iou": "NMS_TH",
        "centre_radius": "POS_RADIUS",
        "prior": "PRIOR_PROB",
        "focal_alpha": "LOSS_ALPHA",
        "focal_gamma": "LOSS_GAMMA",
    }
    read: dict[str, Any] = {
        name: settings.number(prefix + key, getattr(stock, name)) for name, key in numbers.items()
    }
    for name in ("pre_nms_topk_train", "pre_nms_topk_test", "post_nms_topk_train"):
        read[name] = settings.count(prefix + name.upper(), getattr(stock, name))
    return FCOSConfig(
        class_layers=shapes.class_layers,
        box_layers=shapes.box_layers,
        level_limits=limits,
        post_nms_topk_test=settings.count(f"{prefix}POST_NMS_TOPK_TEST", boxes),
        topk_grows=False,
        **read,
    )


def _pooler(settings: Settings) -> AreaPoolerConfig:
    prefix = "MODEL.ROI_MASK_HEAD.POOLER_"
    resolution = settings.count(f"{prefix}RESOLUTION", 14)
    if resolution != 14:
        raise settings.wrong(f"{prefix}RESOLUTION", "14")
    samples = int(settings.number(f"{prefix}SAMPLING_RATIO", 0))
    return AreaPoolerConfig(resolution=resolution, sampling_ratio=samples, whole_image=True)
