"""From SOLOv2's grids and mask feature to objects: only confident cells get a mask."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torchvision.ops import roi_align

from napari_sartorius.nn.boxes import clip_boxes
from napari_sartorius.nn.detector import Detections, DetectLimits, growth_of
from napari_sartorius.nn.matrix_nms import SparseMasks, greedy_keep, mask_iou, matrix_nms
from napari_sartorius.nn.positions import cell_places, in_reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sartorius.nn.config import SOLOv2Config
    from napari_sartorius.nn.grid_head import Grid

# Elements of full maps that exist at one time, and elements of all masks together: 64 MB and
# 256 MB. A trained network's masks of a thousand cells have less than a hundredth of the latter.
_CHUNK_ELEMENTS, _MASK_ELEMENTS = 1 << 24, 1 << 25
# Cells of squares of so many input pixels are worked on together.
_GROUP_SIDE = 128


class _Cells(NamedTuple):
    """Confident cells of one image, best first: (N,) scores and labels, (N, E) kernels, places.

    `centres` (N, 2) and `reach` (N,) are in input pixels.
    """

    scores: Tensor
    labels: Tensor
    kernels: Tensor
    centres: Tensor
    reach: Tensor

    def chosen(self, rows: Tensor | slice) -> _Cells:
        return _Cells(*(column[rows] for column in self))


def find_objects(
    grids: list[Grid],
    feature: Tensor,
    stride: int,
    image_size: tuple[int, int],
    limits: DetectLimits,
    config: SOLOv2Config,
) -> Detections:
    """Objects of one image.

    A mask is where its kernel's response is above one half; its score is that of its cell times
    the mean response inside the mask, lowered by Matrix NMS. After that a mask that overlaps a
    better one of its category by more than `limits.nms` (IoU of masks) is dropped.

    Parameters
    ----------
    grids
        Of this image alone: (K, R, C) logits and (E, R, C) kernels.
    feature
        (E, H, W) at `stride`.
    image_size
        (height, width) without padding; nothing outside is found.
    limits, config
        What may drop an object, and the architecture tree.
    """
    rows, columns = (-(-side // stride) for side in image_size)
    feature = feature[:, :rows, :columns]
    cells, capped = _confident_cells(grids, image_size, limits, config)
    masks, response, too_many = _masks_of(cells, feature, stride)
    large = masks.areas() * stride**2 > config.smallest_area
    scores = cells.scores * response * large
    order = torch.argsort(scores, descending=True, stable=True)
    order = order[scores[order] > limits.score]
    cells, masks, scores = cells.chosen(order), masks.chosen(order), scores[order]
    iou = mask_iou(masks)
    scores = matrix_nms(scores, cells.labels, iou, config.nms)
    order = torch.argsort(scores, descending=True, stable=True)
    order = order[scores[order] > limits.score]
    order = order[greedy_keep(cells.labels[order], iou[order[:, None], order], limits.nms)]
    best, lost = order[: limits.max_detections], order[limits.max_detections :]
    capped |= too_many | _any_wanted(scores[lost], cells.labels[lost], limits)
    cells, scores = cells.chosen(best), scores[best]
    boxes, probabilities = _cut_out(masks.chosen(best), cells, feature, stride, config.mask_side)
    boxes = clip_boxes(boxes, image_size)
    return Detections(boxes, scores, cells.labels, probabilities, capped)


def _confident_cells(
    grids: list[Grid], image_size: tuple[int, int], limits: DetectLimits, config: SOLOv2Config
) -> tuple[_Cells, bool]:
    """Cells above the score limit whose centre lies in the image; whether wanted ones are left out.

    The authors' program keeps local maxima of the scores only; in a dense field neighbouring
    cells are different objects, so here all go on to Matrix NMS.
    """
    shapes = [(int(g.logits.shape[1]), int(g.logits.shape[2])) for g in grids]
    scores = torch.cat([g.logits.flatten(1) for g in grids], dim=1).sigmoid()
    kernels = torch.cat([g.kernels.flatten(1) for g in grids], dim=1)
    centres, reach = cell_places(config.grids, config.reaches, shapes, scores.device)
    inside = (centres < centres.new_tensor([image_size[1], image_size[0]])).all(dim=1)
    label, cell = torch.nonzero((scores > limits.score) & inside, as_tuple=True)
    cells = _Cells(scores[label, cell], label, kernels[:, cell].T, centres[cell], reach[cell])
    growth = growth_of(image_size, config.nms.candidate_area, limits.part)
    order = torch.argsort(cells.scores, descending=True, stable=True)
    best, lost = torch.tensor_split(order, [round(config.nms.candidates * growth)])
    return cells.chosen(best), _any_wanted(cells.scores[lost], cells.labels[lost], limits)


def _any_wanted(scores: Tensor, labels: Tensor, limits: DetectLimits) -> bool:
    """Whether some of these would have been kept by whoever asks."""
    if not limits.wanted:
        return len(scores) > 0
    return bool((scores >= scores.new_tensor(limits.wanted)[labels]).any())


def _masks_of(cells: _Cells, feature: Tensor, stride: int) -> tuple[SparseMasks, Tensor, bool]:
    """Masks of all cells, the mean response (N,) inside each, and whether memory cut the list."""
    columns = feature.shape[2]
    owners = [torch.zeros(0, dtype=torch.int32, device=feature.device)]
    elements = [owners[0]]
    responses = [cells.scores.new_zeros(0)]
    total = 0
    for seen in _responses(cells, feature, stride):
        some = cells.chosen(seen.rows)
        corner = some.centres.new_tensor([seen.x0, seen.y0]) * stride
        shape = (int(seen.logits.shape[1]), int(seen.logits.shape[2]))
        near = in_reach(some.centres - corner, some.reach, shape, stride)
        inside = (seen.logits > 0) & near
        owner, row, column = torch.nonzero(inside, as_tuple=True)
        total += len(owner)
        if total > _MASK_ELEMENTS:
            break
        owners.append(seen.rows[owner].int())
        elements.append(((row + seen.y0) * columns + column + seen.x0).int())
        responses.append(seen.logits[inside].float().sigmoid())
    owner = torch.cat(owners)
    order = torch.argsort(owner, stable=True)
    masks = SparseMasks(owner[order], torch.cat(elements)[order], len(cells.scores))
    return masks, masks.means(torch.cat(responses)[order]), total > _MASK_ELEMENTS


class _Seen(NamedTuple):
    """Logits (n, h, w) of the cells `rows` (n,) in a window of the map that starts at (x0, y0)."""

    rows: Tensor
    x0: int
    y0: int
    logits: Tensor


def _responses(cells: _Cells, feature: Tensor, stride: int) -> Iterator[_Seen]:
    """What kernels make of the map, for cells that lie together, as far as they reach.

    The window of a whole group is cut out of the map once; to apply every kernel to the whole map,
    as the paper does, takes ten to fifty times longer where cells are small.
    """
    channels, rows, columns = feature.shape
    far = cells.reach * 2 >= max(rows, columns) * stride
    place = torch.div(cells.centres, _GROUP_SIDE, rounding_mode="floor").masked_fill(
        far[:, None], 0
    )
    keys, group = torch.unique(
        torch.cat([cells.reach[:, None], place], dim=1), dim=0, return_inverse=True
    )
    members = torch.split(torch.argsort(group, stable=True), torch.bincount(group).tolist())
    for (reach, x, y), together in zip(keys.tolist(), members, strict=True):
        x0, x1 = _span(x, reach, stride, columns)
        y0, y1 = _span(y, reach, stride, rows)
        window = feature[:, y0:y1, x0:x1].reshape(channels, -1)
        for some in torch.split(together, max(1, _CHUNK_ELEMENTS // window.shape[1])):
            logits = cells.kernels[some].to(window.dtype) @ window
            yield _Seen(some, x0, y0, logits.view(-1, y1 - y0, x1 - x0))


def _span(place: float, reach: float, stride: int, length: int) -> tuple[int, int]:
    """First element and end of what the cells of a group reach along one axis of the map."""
    if reach * 2 >= length * stride:
        return 0, length
    # One more on either side: outlines are interpolated between an element and its neighbour.
    low = math.floor((place * _GROUP_SIDE - reach) / stride) - 1
    high = math.ceil(((place + 1) * _GROUP_SIDE + reach) / stride) + 1
    return max(low, 0), min(high, length)


def _cut_out(
    masks: SparseMasks, cells: _Cells, feature: Tensor, stride: int, side: int
) -> tuple[Tensor, Tensor]:
    """Boxes (N, 4) in input pixels, and responses (N, side, side) in them.

    A box touches the outline that bilinear interpolation of the responses has at one half, so it
    is finer than the map's elements.
    """
    extents = masks.extents(feature.shape[2])
    boxes = cells.scores.new_zeros((masks.count, 4))
    squares = cells.scores.new_zeros((masks.count, side, side))
    for seen in _responses(cells, feature, stride):
        response = seen.logits.float().sigmoid()
        corner = extents.new_tensor([seen.x0, seen.y0] * 2)
        extent = extents[seen.rows] - corner
        box = torch.stack(
            [
                _edge(response.mT, extent[:, 0], -1, extent[:, 1::2]),
                _edge(response, extent[:, 1], -1, extent[:, 0::2]),
                _edge(response.mT, extent[:, 2], 1, extent[:, 1::2]),
                _edge(response, extent[:, 3], 1, extent[:, 0::2]),
            ],
            dim=1,
        )
        index = torch.arange(len(box), device=box.device, dtype=box.dtype)
        rois = torch.cat([index[:, None], box], dim=1)
        square = roi_align(response[:, None], rois, (side, side), sampling_ratio=1, aligned=True)
        boxes[seen.rows] = (box + corner) * stride
        squares[seen.rows] = square[:, 0]
    return boxes, squares


def _edge(response: Tensor, last: Tensor, direction: int, across: Tensor) -> Tensor:
    """Where masks end beyond their last rows, in map units from the map's edge.

    Parameters
    ----------
    response
        (n, H, W).
    last
        (n,) outermost row that belongs to the mask.
    direction
        -1 for its upper end, 1 for its lower end.
    across
        (n, 2) first and last column of each mask; what lies beyond is none of it.
    """
    columns = torch.arange(response.shape[2], device=last.device)
    own = (columns >= across[:, :1]) & (columns <= across[:, 1:])
    index = torch.arange(len(last), device=last.device)
    beyond = last + direction
    at_border = (beyond < 0) | (beyond >= response.shape[1])
    inner = response[index, last]
    outer = response[index, beyond.clamp(0, response.shape[1] - 1)]
    share = (inner - 0.5) / (inner - outer).clamp(min=1e-6)
    # A mask that its reach has cut ends with its last element.
    share = share.masked_fill(outer > 0.5, 0.5).masked_fill(~own | (inner < 0.5), 0)
    reach = share.max(dim=1).values.clamp(0, 1)
    reach = torch.where(at_border, 0.5, reach)
    return last + 0.5 + direction * reach
