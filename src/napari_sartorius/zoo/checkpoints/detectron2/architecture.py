"""The architecture tree and the input of an imported network, from shapes and configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.config import (
    BoxHeadConfig,
    CascadeMaskRCNNConfig,
    CascadeStageConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    PoolerConfig,
    ProposalConfig,
    PyramidConfig,
)
from napari_sartorius.nn.stock import (
    STOCK_ANCHOR_RATIOS,
    STOCK_ANCHOR_SIZES,
    stock_pooler,
    stock_proposals,
    stock_trunk,
)
from napari_sartorius.zoo.checkpoints.checkpoint_format import ImportedNetwork
from napari_sartorius.zoo.checkpoints.detectron2.shapes import read_shapes
from napari_sartorius.zoo.checkpoints.network_input import read_input_size, read_normalisation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.zoo.checkpoints.detectron2.shapes import NetworkShapes
    from napari_sartorius.zoo.checkpoints.settings import Settings

_LEVELS = 5
_CASCADE_WEIGHTS = ((10.0, 10.0, 5.0, 5.0), (20.0, 20.0, 10.0, 10.0), (30.0, 30.0, 15.0, 15.0))
_CASCADE_OVERLAPS = (0.5, 0.6, 0.7)


def describe(
    path: Path, weights: Mapping[str, NDArray[Any]], settings: Settings
) -> ImportedNetwork:
    """Put together what shapes, stored constants and configuration say.

    Parameters
    ----------
    path
        The checkpoint, for errors.
    weights
        Tensors by detectron2's names; stored means and anchors are read, where there are any.
    settings
        From a configuration, or empty.

    Raises
    ------
    UserError
        When they contradict each other.
    """
    shapes = read_shapes(path, weights)
    assumed: list[str] = []
    if "MODEL.ROI_HEADS.NUM_CLASSES" in settings:
        said = settings.number("MODEL.ROI_HEADS.NUM_CLASSES", 80)
        if said != shapes.num_classes:
            raise UserError(
                f"{settings.path} speaks of {said:g} classes but {path} has {shapes.num_classes}; "
                "give the configuration with which this checkpoint was trained"
            )
    if shapes.in_channels != 3:
        raise UserError(
            f"{path} reads {shapes.in_channels} channels; only networks of three channels can be "
            "imported"
        )
    trunk = stock_trunk(f"resnet{shapes.depth}").model_copy(update={"widths": shapes.widths})
    stride_key = "MODEL.RESNETS.STRIDE_IN_1X1"
    if shapes.depth >= 50:
        if stride_key not in settings:
            assumed.append(
                "blocks stride in their 1x1 convolution as in detectron2's own R50 and R101 "
                "(networks started from torchvision's weights do not: give the configuration)"
            )
        trunk = trunk.model_copy(update={"stride_in_1x1": settings.flag(stride_key, True)})
    else:
        trunk = trunk.model_copy(update={"stride_in_1x1": False})
    box_head = _box_head(shapes, settings)
    parts: dict[str, Any] = {
        "num_classes": shapes.num_classes,
        "trunk": trunk.model_dump(),
        "pyramid": PyramidConfig(
            width=shapes.pyramid_width, norm=shapes.pyramid_norm, extra_level=True
        ),
        "proposals": _proposals(path, weights, shapes, settings, assumed),
        "box_head": box_head,
        "mask_head": MaskHeadConfig(
            pooler=_pooler("MASK", 14, settings),
            layers=shapes.mask_layers,
            width=shapes.mask_width,
            norm=shapes.mask_norm,
            class_agnostic=shapes.mask_class_agnostic,
        ),
    }
    tree: type[MaskRCNNConfig] = MaskRCNNConfig
    stages = _cascade(path, shapes, settings)
    if stages:
        tree = CascadeMaskRCNNConfig
        parts["box_head"] = box_head.model_copy(update=stages[0].model_dump())
        parts["stages"] = stages[1:]
    score_key = "MODEL.ROI_HEADS.SCORE_THRESH_TEST"
    nms_key = "MODEL.ROI_HEADS.NMS_THRESH_TEST"
    most = round(settings.number("TEST.DETECTIONS_PER_IMAGE", -1))  # negative means no limit
    return ImportedNetwork(
        architecture=tree.model_validate(parts),
        normalisation=read_normalisation(path, weights, settings, assumed),
        input_size=read_input_size(settings, assumed),
        score=settings.number(score_key, 0.0) if score_key in settings else None,
        assumptions=tuple(assumed),
        box_nms=settings.number(nms_key, 0.5) if nms_key in settings else None,
        max_objects=most if most > 0 else None,
    )


def _proposals(
    path: Path,
    weights: Mapping[str, NDArray[Any]],
    shapes: NetworkShapes,
    settings: Settings,
    assumed: list[str],
) -> ProposalConfig:
    sizes_key, ratios_key = "MODEL.ANCHOR_GENERATOR.SIZES", "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS"
    stored = _stored_anchors(weights)
    if stored is not None and sizes_key not in settings and ratios_key not in settings:
        sizes, ratios = stored
    else:
        sizes = settings.rows(sizes_key, STOCK_ANCHOR_SIZES)
        every = settings.rows(ratios_key, (STOCK_ANCHOR_RATIOS,))
        if len(set(every)) != 1:
            raise settings.wrong(ratios_key, "the same ratios on every level")
        ratios = every[0]
        if len(sizes) == 1:
            sizes = sizes * _LEVELS
        if stored is None and sizes_key not in settings:
            assumed.append("anchors are the stock ones, 32 to 512 pixels with ratios 0.5, 1 and 2")
        if stored is not None and not _same_anchors(stored, (sizes, ratios)):
            raise UserError(
                f"{settings.path} names other anchors than those stored in {path}; give the "
                "configuration with which this checkpoint was trained"
            )
    if len(sizes) != _LEVELS:
        raise settings.wrong(sizes_key, f"one list of sizes for each of {_LEVELS} levels")
    described = len(sizes[0]) * len(ratios)
    if described != shapes.anchors_per_place and settings.path is not None:
        raise UserError(
            f"{settings.path} describes {described} anchors at each place but {path} has "
            f"{shapes.anchors_per_place}; give the configuration with which this checkpoint was "
            "trained"
        )
    if described != shapes.anchors_per_place:
        raise UserError(
            f"{path} has {shapes.anchors_per_place} anchors at each place, where "
            f"{described} were expected; give the configuration of the training "
            "run with --config, so that their sizes are known"
        )
    prefix = "MODEL.RPN."
    stock = stock_proposals(2000 if shapes.box_stages else 1000)
    return stock.model_copy(
        update={
            "anchor_sizes": sizes,
            "anchor_ratios": ratios,
            "anchor_offset": settings.number("MODEL.ANCHOR_GENERATOR.OFFSET", 0.0),
            "nms_iou": settings.number(f"{prefix}NMS_THRESH", stock.nms_iou),
        }
        | {
            field: settings.count(f"{prefix}{field.upper()}", getattr(stock, field))
            for field in (
                "pre_nms_topk_train",
                "post_nms_topk_train",
                "pre_nms_topk_test",
                "post_nms_topk_test",
            )
        }
    )


_Anchors = tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]


def _stored_anchors(weights: Mapping[str, NDArray[Any]]) -> _Anchors | None:
    """Sizes of each level and ratios from the anchor boxes that older versions saved."""
    sizes, ratios = [], set()
    for level in range(_LEVELS):
        boxes = weights.get(f"proposal_generator.anchor_generator.cell_anchors.{level}")
        if boxes is None or boxes.ndim != 2 or boxes.shape[1] != 4 or not len(boxes):
            return None
        width, height = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64).T
        if not (np.isfinite(boxes).all() and (width > 0).all() and (height > 0).all()):
            return None
        sizes.append(tuple(dict.fromkeys(np.round(np.sqrt(width * height), 2).tolist())))
        ratios.add(tuple(dict.fromkeys(np.round(height / width, 3).tolist())))
    if len(ratios) != 1:
        return None
    return tuple(sizes), ratios.pop()


def _same_anchors(one: _Anchors, other: _Anchors) -> bool:
    flat = [np.concatenate([np.ravel(level) for level in (*a[0], a[1])]) for a in (one, other)]
    return len(flat[0]) == len(flat[1]) and bool(np.allclose(flat[0], flat[1], rtol=0.01))


def _box_head(shapes: NetworkShapes, settings: Settings) -> BoxHeadConfig:
    key = "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS"
    weights = settings.numbers(key, (10.0, 10.0, 5.0, 5.0), 4)
    if min(weights) <= 0:
        raise settings.wrong(key, "4 numbers above 0")
    return BoxHeadConfig(
        pooler=_pooler("BOX", shapes.box_resolution, settings),
        layers=shapes.box_layers,
        width=shapes.box_width,
        class_agnostic=shapes.box_class_agnostic,
        delta_weights=(weights[0], weights[1], weights[2], weights[3]),
        batch_per_image=512,
    )


def _cascade(path: Path, shapes: NetworkShapes, settings: Settings) -> list[CascadeStageConfig]:
    """Box coding and training overlap of every stage; empty for one plain head."""
    name = settings.values.get("MODEL.ROI_HEADS.NAME")
    if name is not None and (name == "CascadeROIHeads") != bool(shapes.box_stages):
        raise UserError(
            f"{settings.path} speaks of {name} but {path} has {shapes.box_stages or 1} box heads; "
            "give the configuration with which this checkpoint was trained"
        )
    if not shapes.box_stages:
        return []
    prefix = "MODEL.ROI_BOX_CASCADE_HEAD."
    rows = settings.rows(f"{prefix}BBOX_REG_WEIGHTS", _CASCADE_WEIGHTS)
    overlaps = settings.numbers(f"{prefix}IOUS", _CASCADE_OVERLAPS)
    if not len(rows) == len(overlaps) == shapes.box_stages or {len(row) for row in rows} != {4}:
        raise UserError(
            f"{settings.path or path}: {shapes.box_stages} box heads need as many rows of four in "
            f"{prefix}BBOX_REG_WEIGHTS and numbers in {prefix}IOUS; give the configuration of the "
            "training run"
        )
    return [
        CascadeStageConfig(delta_weights=(row[0], row[1], row[2], row[3]), positive_iou=overlap)
        for row, overlap in zip(rows, overlaps, strict=True)
    ]


def _pooler(head: str, resolution: int, settings: Settings) -> PoolerConfig:
    prefix = f"MODEL.ROI_{head}_HEAD.POOLER_"
    said = settings.count(f"{prefix}RESOLUTION", resolution)
    if head == "BOX" and said != resolution:
        raise settings.wrong(f"{prefix}RESOLUTION", f"{resolution} as in the checkpoint")
    samples = int(settings.number(f"{prefix}SAMPLING_RATIO", 0))
    return stock_pooler(said).model_copy(update={"sampling_ratio": samples})
