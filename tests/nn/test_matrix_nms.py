"""Matrix NMS against loops that read like its definition, and overlaps against dense masks."""

from __future__ import annotations

import math

import pytest
import torch

from napari_sartorius.nn.config import MatrixNMSConfig
from napari_sartorius.nn.matrix_nms import SparseMasks, greedy_keep, mask_iou, matrix_nms


def _sparse(dense: torch.Tensor) -> SparseMasks:
    owner, element = torch.nonzero(dense.flatten(1), as_tuple=True)
    return SparseMasks(owner.int(), element.int(), len(dense))


def _random_masks(count: int, side: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    corner = torch.randint(0, side - 20, (count, 2), generator=generator)
    size = torch.randint(3, 20, (count, 2), generator=generator)
    grid = torch.arange(side)
    rows = (grid >= corner[:, :1]) & (grid < corner[:, :1] + size[:, :1])
    columns = (grid >= corner[:, 1:]) & (grid < corner[:, 1:] + size[:, 1:])
    masks = rows[:, :, None] & columns[:, None, :]
    masks[3] = False
    return masks


def _iou(masks: torch.Tensor) -> torch.Tensor:
    flat = masks.flatten(1).float()
    shared = flat @ flat.T
    area = flat.sum(dim=1)
    return shared / (area[:, None] + area - shared).clamp(min=1)


def test_overlaps_are_those_of_dense_masks() -> None:
    masks = _random_masks(60, 150)
    sparse = _sparse(masks)
    torch.testing.assert_close(mask_iou(sparse), _iou(masks))
    torch.testing.assert_close(sparse.areas(), masks.flatten(1).sum(dim=1).float())
    some = torch.tensor([7, 2, 30])
    torch.testing.assert_close(mask_iou(sparse.chosen(some)), _iou(masks[some]))
    for row, (x0, y0, x1, y1) in zip(some, sparse.chosen(some).extents(150).tolist(), strict=True):
        inside = torch.zeros(150, 150, dtype=torch.bool)
        inside[y0 : y1 + 1, x0 : x1 + 1] = True
        assert torch.equal(inside, masks[row])
    values = torch.arange(150 * 150).float()[sparse.element.long()]
    means = sparse.means(values)
    assert means[3] == 0
    torch.testing.assert_close(means[7], torch.nonzero(masks[7].flatten()).float().mean())


@pytest.mark.parametrize("kernel", ["gaussian", "linear"])
def test_scores_fall_as_defined(kernel: str) -> None:
    config = MatrixNMSConfig.model_validate({"kernel": kernel, "sigma": 1.5})
    iou = _iou(_random_masks(40, 60))
    scores = torch.linspace(0.95, 0.1, 40)
    labels = torch.arange(40) % 3

    def weight(value: float) -> float:
        return math.exp(-1.5 * value**2) if kernel == "gaussian" else 1 - value

    wanted = []
    for j in range(40):
        factor = 1.0
        for i in range(j):
            if labels[i] != labels[j]:
                continue
            better = [float(iou[k, i]) for k in range(i) if labels[k] == labels[i]]
            factor = min(factor, weight(float(iou[i, j])) / weight(max(better, default=0.0)))
        wanted.append(float(scores[j]) * factor)
    given = matrix_nms(scores, labels, iou, config)
    torch.testing.assert_close(given, torch.tensor(wanted))
    assert (given < scores).sum() > 10


def test_no_masks_are_no_error() -> None:
    nothing = _sparse(torch.zeros(0, 10, 10, dtype=torch.bool))
    iou = mask_iou(nothing)
    assert iou.shape == (0, 0)
    none = torch.zeros(0)
    assert len(matrix_nms(none, none.long(), iou, MatrixNMSConfig())) == 0
    assert len(greedy_keep(none.long(), iou, 0.5)) == 0


def test_greedy_suppression_goes_from_best_to_worst() -> None:
    iou = _iou(_random_masks(80, 50))
    labels = torch.arange(80) % 2
    kept: list[int] = []
    for j in range(80):
        if all(labels[i] != labels[j] or iou[i, j] <= 0.2 for i in kept):
            kept.append(j)
    given = greedy_keep(labels, iou, 0.2)
    assert torch.nonzero(given).flatten().tolist() == kept
    assert len(kept) < 80
    assert greedy_keep(labels, iou, 1.0).all()
