"""From SOLOv2's grids and mask feature to objects: only confident cells get a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torchvision.ops import roi_align

from napari_sartorius.nn.boxes import clip_boxes
from napari_sartorius.nn.detector import Detections, DetectLimits
from napari_sartorius.nn.matrix_nms import SparseMasks, greedy_keep, mask_iou, matrix_nms
from napari_sartorius.nn.positions import cell_places, in_reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sartorius.nn.config import SOLOv2Config
    from napari_sartorius.nn.grid_head import Grid

# Elements of full maps that exist at one time, and elements of all masks together: 64 MB and
# 256 MB. A trained network's masks of a thousand cells have less than a hundredth of the latter.
_CHUNK_ELEMENTS, _MASK_ELEMENTS = 1 << 24, 1 << 25


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
    boxes, probabilities = _cut_out(
        masks.chosen(best), cells.kernels, feature, stride, config.mask_side
    )
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
    growth = max(1.0, image_size[0] * image_size[1] / config.nms.candidate_area)
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
    _, rows, columns = feature.shape
    owners = [torch.zeros(0, dtype=torch.int32, device=feature.device)]
    elements = [owners[0]]
    responses = [cells.scores.new_zeros(0)]
    total = 0
    for first, logits in _responses(cells.kernels, feature):
        some = cells.chosen(slice(first, first + len(logits)))
        inside = (logits > 0) & in_reach(some.centres, some.reach, (rows, columns), stride)
        owner, row, column = torch.nonzero(inside, as_tuple=True)
        total += len(owner)
        if total > _MASK_ELEMENTS:
            break
        owners.append((owner + first).int())
        elements.append((row * columns + column).int())
        responses.append(logits[inside].float().sigmoid())
    masks = SparseMasks(torch.cat(owners), torch.cat(elements), len(cells.scores))
    return masks, masks.means(torch.cat(responses)), total > _MASK_ELEMENTS


def _responses(kernels: Tensor, feature: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Logits (n, H, W) of a few kernels (N, E) at a time, and the row of the first of them."""
    channels, rows, columns = feature.shape
    flat = feature.reshape(channels, rows * columns)
    chunk = max(1, _CHUNK_ELEMENTS // (rows * columns))
    for first in range(0, len(kernels), chunk):
        some = kernels[first : first + chunk].to(flat.dtype)
        yield first, (some @ flat).view(-1, rows, columns)


def _cut_out(
    masks: SparseMasks, kernels: Tensor, feature: Tensor, stride: int, side: int
) -> tuple[Tensor, Tensor]:
    """Boxes (N, 4) in input pixels, and responses (N, side, side) in them.

    A box touches the outline that bilinear interpolation of the responses has at one half, so it
    is finer than the map's elements.
    """
    extents = masks.extents(feature.shape[2])
    boxes, squares = [], []
    for first, logits in _responses(kernels, feature):
        response = logits.float().sigmoid()
        extent = extents[first : first + len(response)]
        box = torch.stack(
            [
                _edge(response.mT, extent[:, 0], -1),
                _edge(response, extent[:, 1], -1),
                _edge(response.mT, extent[:, 2], 1),
                _edge(response, extent[:, 3], 1),
            ],
            dim=1,
        )
        index = torch.arange(len(box), device=box.device, dtype=box.dtype)
        rois = torch.cat([index[:, None], box], dim=1)
        square = roi_align(response[:, None], rois, (side, side), sampling_ratio=1, aligned=True)
        boxes.append(box * stride)
        squares.append(square[:, 0])
    return (
        torch.cat([feature.new_zeros((0, 4), dtype=torch.float32), *boxes]),
        torch.cat([feature.new_zeros((0, side, side), dtype=torch.float32), *squares]),
    )


def _edge(response: Tensor, last: Tensor, direction: int) -> Tensor:
    """Where masks end beyond their last rows, in map units from the map's edge.

    Parameters
    ----------
    response
        (n, H, W).
    last
        (n,) outermost row that belongs to the mask.
    direction
        -1 for its upper end, 1 for its lower end.
    """
    index = torch.arange(len(last), device=last.device)
    beyond = last + direction
    at_border = (beyond < 0) | (beyond >= response.shape[1])
    inner = response[index, last]
    outer = response[index, beyond.clamp(0, response.shape[1] - 1)]
    share = (inner - 0.5) / (inner - outer).clamp(min=1e-6)
    reach = share.masked_fill(inner < 0.5, 0).max(dim=1).values.clamp(0, 1)
    reach = torch.where(at_border, 0.5, reach)
    return last + 0.5 + direction * reach
