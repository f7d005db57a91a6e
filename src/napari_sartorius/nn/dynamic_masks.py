"""From SOLOv2's grids and mask feature to objects: only confident cells get a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torchvision.ops import roi_align

from napari_sartorius.nn.boxes import clip_boxes
from napari_sartorius.nn.detector import Detections, DetectLimits
from napari_sartorius.nn.matrix_nms import SparseMasks, greedy_keep, mask_iou, matrix_nms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sartorius.nn.config import SOLOv2Config
    from napari_sartorius.nn.grid_head import Grid

# Elements of full maps that exist at one time, and elements of all masks together: 64 MB and
# 256 MB. A trained network's masks of a thousand cells have less than a hundredth of the latter.
_CHUNK_ELEMENTS, _MASK_ELEMENTS = 1 << 24, 1 << 25


class _Cells(NamedTuple):
    """Confident cells of one image, best first, and whether wanted ones were left out."""

    scores: Tensor
    labels: Tensor
    kernels: Tensor
    centres: Tensor
    capped: bool

    def chosen(self, rows: Tensor) -> _Cells:
        return _Cells(
            self.scores[rows],
            self.labels[rows],
            self.kernels[rows],
            self.centres[rows],
            self.capped,
        )


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
    cells = _confident_cells(grids, image_size, limits, config)
    masks, response, capped = _masks_of(cells, feature, stride, config)
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
    capped |= _any_wanted(scores[lost], cells.labels[lost], limits)
    cells, scores = cells.chosen(best), scores[best]
    boxes, probabilities = _cut_out(
        masks.chosen(best), cells.kernels, feature, stride, config.mask_side
    )
    boxes = clip_boxes(boxes, image_size)
    return Detections(boxes, scores, cells.labels, probabilities, capped or cells.capped)


def _confident_cells(
    grids: list[Grid], image_size: tuple[int, int], limits: DetectLimits, config: SOLOv2Config
) -> _Cells:
    """Cells above the score limit whose centre lies in the image, best first.

    The authors' program keeps local maxima of the scores only; in a dense field neighbouring
    cells are different objects, so here all go on to Matrix NMS.
    """
    scores, labels, kernels, centres = [], [], [], []
    for grid, tree in zip(grids, config.grids, strict=True):
        score = grid.logits.sigmoid()
        label, row, column = torch.nonzero(score > limits.score, as_tuple=True)
        centre = (torch.stack([column, row], dim=1) + 0.5) * tree.stride
        inside = (centre < centre.new_tensor([image_size[1], image_size[0]])).all(dim=1)
        label, row, column = label[inside], row[inside], column[inside]
        scores.append(score[label, row, column])
        labels.append(label)
        kernels.append(grid.kernels[:, row, column].T)
        centres.append(centre[inside])
    score = torch.cat(scores)
    growth = max(1.0, image_size[0] * image_size[1] / config.nms.candidate_area)
    order = torch.argsort(score, descending=True, stable=True)
    best = order[: round(config.nms.candidates * growth)]
    lost = order[len(best) :]
    label = torch.cat(labels)
    capped = _any_wanted(score[lost], label[lost], limits)
    return _Cells(
        score[best], label[best], torch.cat(kernels)[best], torch.cat(centres)[best], capped
    )


def _any_wanted(scores: Tensor, labels: Tensor, limits: DetectLimits) -> bool:
    """Whether some of these would have been kept by whoever asks."""
    if not limits.wanted:
        return len(scores) > 0
    return bool((scores >= scores.new_tensor(limits.wanted)[labels]).any())


def _masks_of(
    cells: _Cells, feature: Tensor, stride: int, config: SOLOv2Config
) -> tuple[SparseMasks, Tensor, bool]:
    """Masks of all cells, the mean response (N,) inside each, and whether memory cut the list."""
    columns = feature.shape[2]
    owners, elements, responses = [], [], []
    total, capped = 0, False
    for first, logits in _responses(cells.kernels, feature):
        inside = logits > 0
        if config.wavelengths:
            inside &= _in_reach(
                cells.centres[first : first + len(logits)], inside, stride, config.wavelengths
            )
        owner, row, column = torch.nonzero(inside, as_tuple=True)
        total += len(owner)
        if total > _MASK_ELEMENTS:
            capped = True
            break
        owners.append((owner + first).int())
        elements.append((row * columns + column).int())
        responses.append(logits[inside].float().sigmoid())
    nothing = torch.zeros(0, dtype=torch.int32, device=feature.device)
    masks = SparseMasks(
        torch.cat([nothing, *owners]), torch.cat([nothing, *elements]), len(cells.scores)
    )
    response = torch.cat([cells.scores.new_zeros(0), *responses])
    return masks, masks.means(response), capped


def _responses(kernels: Tensor, feature: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Logits (n, H, W) of a few kernels (N, E) at a time, and the row of the first of them."""
    channels, rows, columns = feature.shape
    flat = feature.reshape(channels, rows * columns)
    chunk = max(1, _CHUNK_ELEMENTS // (rows * columns))
    for first in range(0, len(kernels), chunk):
        some = kernels[first : first + chunk].to(flat.dtype)
        yield first, (some @ flat).view(-1, rows, columns)


def _in_reach(centres: Tensor, like: Tensor, stride: int, wavelengths: tuple[float, ...]) -> Tensor:
    """Which elements (n, H, W) are near enough to each cell for the coordinates to tell apart."""
    reach = max(wavelengths) / 2
    near = [
        (
            (torch.arange(side, device=like.device) + 0.5) * stride - centres[:, axis : axis + 1]
        ).abs()
        <= reach
        for axis, side in ((0, like.shape[2]), (1, like.shape[1]))
    ]
    return near[1][:, :, None] & near[0][:, None, :]


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
