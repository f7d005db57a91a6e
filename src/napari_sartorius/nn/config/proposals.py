"""Anchors and the region proposal network."""

from __future__ import annotations

from pydantic import Field

from napari_sartorius.nn.config.tree import Tree


class ProposalConfig(Tree):
    """Anchors and the region proposal network.

    Anchor sizes are the side in input pixels, one tuple per level, equally many on each.
    `levels` says which pyramid level (0 is the finest) each tuple belongs to; a level that is named
    twice has its anchors scored by the same outputs twice, but chosen apart, as LIVECell's
    anchor-based detectors do with their finest level. None names every level once.
    Ratios are height / width. Cell centres sit at ``(index + anchor_offset) * stride``;
    detectron2 uses offset 0. `rounded_anchors` brings their edges to whole pixels from the centre,
    and `strides_from_map` takes for the stride the size of the padded image divided by that of the
    map, without its fraction, which differs on an extra level that was rounded up: torchvision
    does both.

    `convolutions` is the number of 3x3 convolutions before objectness and deltas.

    The ``topk`` limits hold for an image of `topk_area` pixels; with `topk_grows` a larger image
    may give proportionally more proposals when detecting, so that a dense field loses no cells
    for being large. detectron2's limits do not grow.
    """

    anchor_sizes: tuple[tuple[float, ...], ...] = ((14.0,), (28.0,), (56.0,), (112.0,))
    levels: tuple[int, ...] | None = None
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    anchor_offset: float = 0.0
    rounded_anchors: bool = False
    strides_from_map: bool = False
    convolutions: int = Field(default=1, ge=1)
    positive_iou: float = 0.5
    negative_iou: float = 0.3
    batch_per_image: int = 256
    positive_fraction: float = 0.5
    nms_iou: float = 0.7
    pre_nms_topk_train: int = 1000
    pre_nms_topk_test: int = 2000
    post_nms_topk_train: int = 500
    post_nms_topk_test: int = 2000
    topk_grows: bool = True
    topk_area: int = Field(default=512 * 512, ge=1)
