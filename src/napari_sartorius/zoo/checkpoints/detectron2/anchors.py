"""Anchors and proposals of a detectron2 checkpoint, from its tensors and its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.nn.stock import STOCK_ANCHOR_RATIOS, STOCK_ANCHOR_SIZES, stock_proposals

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.nn.config import ProposalConfig
    from napari_sartorius.zoo.checkpoints.detectron2.shapes import NetworkShapes
    from napari_sartorius.zoo.checkpoints.settings import Settings

_LEVELS = ("p2", "p3", "p4", "p5", "p6")
_SIZES, _RATIOS = "MODEL.ANCHOR_GENERATOR.SIZES", "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS"
_READ = "MODEL.RPN.IN_FEATURES"
_COUNTS = (
    "pre_nms_topk_train",
    "post_nms_topk_train",
    "pre_nms_topk_test",
    "post_nms_topk_test",
)

_Anchors = tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]


def describe_proposals(
    path: Path,
    weights: Mapping[str, NDArray[Any]],
    shapes: NetworkShapes,
    settings: Settings,
    assumed: list[str],
) -> ProposalConfig:
    """The tree of the proposal network; what nobody says is added to `assumed`.

    Raises
    ------
    UserError
        When configuration and checkpoint contradict each other.
    """
    levels = _levels(settings)
    sizes, ratios = _anchors(path, weights, len(levels), settings, assumed)
    _check_count(path, shapes, len(sizes[0]) * len(ratios), settings)
    stock = stock_proposals(2000 if shapes.box_stages else 1000)
    limits = {f: settings.count(f"MODEL.RPN.{f.upper()}", getattr(stock, f)) for f in _COUNTS}
    return stock.model_copy(
        update={
            "anchor_sizes": sizes,
            "anchor_ratios": ratios,
            "levels": None if levels == tuple(range(len(_LEVELS))) else levels,
            "anchor_offset": settings.number("MODEL.ANCHOR_GENERATOR.OFFSET", 0.0),
            "nms_iou": settings.number("MODEL.RPN.NMS_THRESH", stock.nms_iou),
        }
        | limits
    )


def _levels(settings: Settings) -> tuple[int, ...]:
    """Pyramid levels that have anchors, one for each tuple of sizes."""
    names = settings.values.get(_READ, list(_LEVELS))
    if not isinstance(names, list) or not names or not all(name in _LEVELS for name in names):
        raise settings.wrong(_READ, f"some of {', '.join(_LEVELS)}")
    return tuple(_LEVELS.index(name) for name in names)


def _anchors(
    path: Path,
    weights: Mapping[str, NDArray[Any]],
    levels: int,
    settings: Settings,
    assumed: list[str],
) -> _Anchors:
    """Sizes of each level and ratios: the checkpoint's, the configuration's or the stock ones."""
    stored = _stored_anchors(weights, levels)
    if stored is not None and _SIZES not in settings and _RATIOS not in settings:
        return stored
    sizes = settings.rows(_SIZES, STOCK_ANCHOR_SIZES)
    every = settings.rows(_RATIOS, (STOCK_ANCHOR_RATIOS,))
    if len(set(every)) != 1:
        raise settings.wrong(_RATIOS, "the same ratios on every level")
    if len(sizes) == 1:
        sizes = sizes * levels
    if stored is None and _SIZES not in settings:
        assumed.append("anchors are the stock ones, 32 to 512 pixels with ratios 0.5, 1 and 2")
    if stored is not None and not _same_anchors(stored, (sizes, every[0])):
        raise UserError(
            f"{settings.path} names other anchors than those stored in {path}; give the "
            "configuration with which this checkpoint was trained"
        )
    if len(sizes) != levels:
        raise settings.wrong(_SIZES, f"one list of sizes for each of {levels} levels")
    return sizes, every[0]


def _check_count(path: Path, shapes: NetworkShapes, described: int, settings: Settings) -> None:
    if described == shapes.anchors_per_place:
        return
    if settings.path is not None:
        raise UserError(
            f"{settings.path} describes {plural(described, 'anchor')} at each place but {path} has "
            f"{shapes.anchors_per_place}; give the configuration with which this checkpoint was "
            "trained"
        )
    raise UserError(
        f"{path} has {plural(shapes.anchors_per_place, 'anchor')} at each place, where "
        f"{described} {agree(described, 'was', 'were')} expected; give the configuration of the "
        "training run with --config, so that their sizes are known"
    )


def _stored_anchors(weights: Mapping[str, NDArray[Any]], levels: int) -> _Anchors | None:
    """Sizes of each level and ratios from the anchor boxes that older versions saved."""
    sizes, ratios = [], set()
    for level in range(levels):
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
