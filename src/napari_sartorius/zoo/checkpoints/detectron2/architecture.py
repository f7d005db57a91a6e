"""The architecture tree and the input of an imported network, from shapes and configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.nn.config import (
    BoxHeadConfig,
    CascadeMaskRCNNConfig,
    CascadeStageConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    PoolerConfig,
    PyramidConfig,
)
from napari_sartorius.nn.stock import stock_pooler
from napari_sartorius.zoo.checkpoints.checkpoint_format import ImportedNetwork
from napari_sartorius.zoo.checkpoints.detectron2.anchors import describe_proposals
from napari_sartorius.zoo.checkpoints.detectron2.published import as_published
from napari_sartorius.zoo.checkpoints.detectron2.shapes import read_shapes
from napari_sartorius.zoo.checkpoints.detectron2.trunk import describe_trunk
from napari_sartorius.zoo.checkpoints.network_input import read_input_size, read_normalisation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.zoo.checkpoints.detectron2.shapes import NetworkShapes
    from napari_sartorius.zoo.checkpoints.settings import Settings

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
    settings = as_published(path, weights, shapes, settings, assumed)
    if settings.count("MODEL.ROI_HEADS.NUM_CLASSES", shapes.num_classes) != shapes.num_classes:
        said = settings.count("MODEL.ROI_HEADS.NUM_CLASSES", 80)
        raise UserError(
            f"{settings.path} speaks of {plural(said, 'class', 'classes')} but {path} has "
            f"{shapes.num_classes}; give the configuration with which this checkpoint was trained"
        )
    box_head = _box_head(shapes, settings, assumed)
    parts: dict[str, Any] = {
        "num_classes": shapes.num_classes,
        "trunk": describe_trunk(shapes.trunk, settings, assumed),
        "pyramid": PyramidConfig(
            width=shapes.pyramid_width, norm=shapes.pyramid_norm, extra_level=True
        ),
        "proposals": describe_proposals(path, weights, shapes, settings, assumed),
        "box_head": box_head,
        "mask_head": MaskHeadConfig(
            pooler=_pooler(
                "MASK", settings.count("MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION", 14), settings
            ),
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


def _box_head(shapes: NetworkShapes, settings: Settings, assumed: list[str]) -> BoxHeadConfig:
    key = "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS"
    weights = settings.numbers(key, (10.0, 10.0, 5.0, 5.0), 4)
    if min(weights) <= 0:
        raise settings.wrong(key, "4 numbers above 0")
    pooled_key = "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION"
    said = settings.count(pooled_key, shapes.box_resolution)
    if said != shapes.box_resolution:
        # One of LIVECell's published configurations contradicts the published weights here.
        assumed.append(
            f"boxes are pooled to {shapes.box_resolution} squared, which the tensors fit, although "
            f"{pooled_key} is {said}"
        )
    return BoxHeadConfig(
        pooler=_pooler("BOX", shapes.box_resolution, settings),
        convolutions=shapes.box_convolutions,
        conv_width=shapes.box_conv_width,
        norm=shapes.box_norm,
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
            f"{settings.path} speaks of {name} but {path} has "
            f"{plural(shapes.box_stages or 1, 'box head')}; give the configuration with which this "
            "checkpoint was trained"
        )
    if not shapes.box_stages:
        return []
    prefix = "MODEL.ROI_BOX_CASCADE_HEAD."
    rows = settings.rows(f"{prefix}BBOX_REG_WEIGHTS", _CASCADE_WEIGHTS)
    overlaps = settings.numbers(f"{prefix}IOUS", _CASCADE_OVERLAPS)
    if not len(rows) == len(overlaps) == shapes.box_stages or {len(row) for row in rows} != {4}:
        raise UserError(
            f"{settings.path or path}: {plural(shapes.box_stages, 'box head')} "
            f"{agree(shapes.box_stages, 'needs', 'need')} as many rows of four in "
            f"{prefix}BBOX_REG_WEIGHTS and numbers in {prefix}IOUS; give the configuration of the "
            "training run"
        )
    return [
        CascadeStageConfig(delta_weights=(row[0], row[1], row[2], row[3]), positive_iou=overlap)
        for row, overlap in zip(rows, overlaps, strict=True)
    ]


def _pooler(head: str, resolution: int, settings: Settings) -> PoolerConfig:
    samples = int(settings.number(f"MODEL.ROI_{head}_HEAD.POOLER_SAMPLING_RATIO", 0))
    return stock_pooler(resolution).model_copy(update={"sampling_ratio": samples})
