"""RoIAlign and anchor matching beside torchvision's, on feature maps of the bundled networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from report import Row, keep
from stopwatch import seconds
from torchvision.ops import box_iou, roi_align

from napari_sartorius.nn.anchors import grid_anchors, overlapping_anchors
from napari_sartorius.nn.config import PoolerConfig, ProposalConfig
from napari_sartorius.nn.matching import match_pairs
from napari_sartorius.nn.pooling import assign_levels, pool_boxes

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_STRIDES = (2, 4, 8, 16)
_WIDTH = 64


def cells(count: int, width: int, height: int) -> Tensor:
    """Boxes (count, 4) of 8 to 60 pixels, most of them small."""
    torch.manual_seed(count)
    corner = torch.rand(count, 2) * torch.tensor([width, height])
    side = torch.exp(torch.rand(count, 2) * 2.0 + 2.1)
    return torch.cat([corner, corner + side], dim=1)


def by_torchvision(maps: list[Tensor], boxes: list[Tensor], config: PoolerConfig) -> Tensor:
    """The same pooling with torchvision's operator, level by level."""
    flat = torch.cat(boxes)
    image = torch.cat([torch.full((len(b), 1), float(i)) for i, b in enumerate(boxes)])
    rois = torch.cat([image, flat], dim=1)
    level = assign_levels(flat, config.canonical_size, len(_STRIDES))
    side = config.resolution
    pooled = maps[0].new_zeros((len(flat), _WIDTH, side, side))
    for i, stride in enumerate(_STRIDES):
        chosen = torch.nonzero(level == i).flatten()
        part = roi_align(
            maps[i], rois[chosen], (side, side), 1.0 / stride, config.sampling_ratio, True
        )
        pooled = pooled.index_copy(0, chosen, part)
    return pooled


def pooling_rows() -> list[Row]:
    """Forward on a whole field, and forward with gradient on a training batch."""
    rows = []
    for what, config, images, size, count in (
        ("boxes of a 704 x 520 field", PoolerConfig(resolution=7, sampling_ratio=2), 1, None, 2000),
        ("masks of a 704 x 520 field", PoolerConfig(resolution=14, sampling_ratio=1), 1, None, 400),
        ("boxes of 4 crops of 256", PoolerConfig(resolution=7, sampling_ratio=2), 4, 256, 100),
        ("masks of 4 crops of 256", PoolerConfig(resolution=14, sampling_ratio=1), 4, 256, 32),
    ):
        width, height = (704, 520) if size is None else (size, size)
        learns = size is not None
        maps = [
            torch.randn(images, _WIDTH, -(-height // s), -(-width // s))
            .to(memory_format=torch.channels_last)
            .requires_grad_(learns)
            for s in _STRIDES
        ]
        boxes = [cells(count + i, width, height) for i in range(images)]

        def run(
            pool: Callable[[], Tensor], learns: bool = learns, maps: list[Tensor] = maps
        ) -> None:
            with torch.set_grad_enabled(learns):
                pooled = pool()
            if learns:
                for one in maps:
                    one.grad = None
                pooled.sum().backward()  # type: ignore[no-untyped-call]

        def ours(
            maps: list[Tensor] = maps,
            boxes: list[Tensor] = boxes,
            config: PoolerConfig = config,
        ) -> Tensor:
            return pool_boxes(maps, _STRIDES, boxes, config)

        def other(
            maps: list[Tensor] = maps,
            boxes: list[Tensor] = boxes,
            config: PoolerConfig = config,
        ) -> Tensor:
            return by_torchvision(maps, boxes, config)

        torch.testing.assert_close(ours(), other(), atol=1e-3, rtol=1e-3)
        mine, theirs = seconds(lambda: run(ours)), seconds(lambda: run(other))
        name = f"RoIAlign, {sum(map(len, boxes))} {what}"
        rows.append(_row(name + (", with gradient" if learns else ""), mine, theirs))
    return rows


def matching_rows() -> list[Row]:
    """Anchors of a 256 px crop matched to its cells."""
    config = ProposalConfig()
    shapes = tuple((256 // s, 256 // s) for s in _STRIDES)
    anchors = torch.cat(grid_anchors(config, shapes, _STRIDES, torch.device("cpu")))
    rows = []
    for count in (15, 100):
        truth = cells(count, 240, 240)

        def ours(truth: Tensor = truth) -> Tensor:
            pairs = overlapping_anchors(config, shapes, _STRIDES, truth)
            return match_pairs(anchors, truth, pairs, 0.5, 0.3)

        def other(truth: Tensor = truth) -> Tensor:
            iou = box_iou(truth, anchors)
            best, index = iou.max(dim=0)
            matched = torch.where(best >= 0.5, index, torch.full_like(index, -2))
            matched[best < 0.3] = -1
            rescued = (iou == iou.max(dim=1, keepdim=True).values).any(dim=0)
            matched[rescued] = index[rescued]
            return matched

        assert torch.equal(ours(), other())
        rows.append(
            _row(f"{len(anchors)} anchors matched to {count} cells", seconds(ours), seconds(other))
        )
    return rows


def _row(what: str, mine: float, theirs: float) -> Row:
    return Row(what, f"{mine * 1e3:.1f} ms", f"{theirs * 1e3:.1f} ms", mine / theirs)


def main() -> None:
    """Measure on one thread, where a training with one process per core runs."""
    torch.set_num_threads(1)
    keep(
        "network",
        "Pooling and matching beside torchvision",
        "One thread, float32, 64 channels, pyramid strides 2 to 16. Results are checked to agree "
        "first. Torchvision's side of the matching is its IoU matrix and the usual rules.",
        [*pooling_rows(), *matching_rows()],
    )


if __name__ == "__main__":
    main()
