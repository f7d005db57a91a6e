"""PointRend: masks drawn again, point by point, where they are uncertain (Kirillov et al. 2020).

Works on the masks of any head that draws one square per box: it needs the finest map of features,
the boxes, and the head's logits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_sartorius.nn.own_column import own_column
from napari_sartorius.nn.point_sampling import sample_map, sample_squares
from napari_sartorius.nn.targets import truth_at

if TYPE_CHECKING:
    from napari_sartorius.nn.config import PointHeadConfig
    from napari_sartorius.nn.targets import Target

# Numbers that exist at one time while points are looked at: 128 MB.
_CHUNK_NUMBERS = 1 << 25


class PointHead(nn.Module):
    """A small network that sees one point: fine features, and what the mask head thought there.

    Parameters
    ----------
    channels
        Of the finest map.
    maps
        Of the mask head's output: categories, or 1.
    stride
        Input pixels per element of the finest map.
    config
        The tree.
    """

    def __init__(self, channels: int, maps: int, stride: int, config: PointHeadConfig) -> None:
        super().__init__()
        self.config, self.stride = config, stride
        inputs = channels
        self.layers = nn.ModuleList()
        for _ in range(config.layers):
            self.layers.append(nn.Linear(inputs + maps, config.width))
            inputs = config.width
        self.predictor = nn.Linear(inputs + maps, maps)
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.predictor.weight, std=0.001)
        nn.init.zeros_(self.predictor.bias)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Logits (P, maps) of P points from (P, channels) and (P, maps)."""
        kind, hidden = fine.device.type, fine
        if torch.is_autocast_enabled(kind):  # rounded before they are joined, for every layer
            hidden = fine.to(torch.get_autocast_dtype(kind))
        coarse = coarse.to(hidden.dtype)
        for layer in self.layers:
            joined = torch.cat([hidden, coarse], dim=1)
            hidden = functional.relu(layer(joined), inplace=True)
        logits: Tensor = self.predictor(torch.cat([hidden, coarse], dim=1))
        return logits.float()

    def refine(self, finest: Tensor, boxes: list[Tensor], coarse: Tensor, column: Tensor) -> Tensor:
        """Logits of the masks at `2 ** steps` times the resolution.

        Each step doubles the squares by bilinear interpolation, then replaces the logits of the
        points nearest to zero. Boxes are worked through in parts, so that memory does not grow with
        their number beyond that of the result.

        Parameters
        ----------
        finest
            (B, C, H, W) features of the images at `stride`.
        boxes
            (N_i, 4) xyxy float32 of each image, input pixels.
        coarse
            (N, maps, S, S) logits of all boxes, in order.
        column
            (N,) which of the maps is wanted of each box.

        Returns
        -------
        Tensor
            (N, S * 2 ** steps, S * 2 ** steps) float32.
        """
        flat, image = _joined(boxes)
        coarse = coarse.float()
        finest = finest.float().contiguous(memory_format=torch.channels_last)
        side = coarse.shape[-1] * 2**self.config.steps
        numbers = self.config.points * (finest.shape[1] + self.config.width) + 4 * side * side
        parts = [coarse.new_zeros((0, side, side))]
        size = max(1, _CHUNK_NUMBERS // numbers)
        for first in range(0, len(flat), size):
            some = slice(first, first + size)
            parts.append(
                self._refine_some(finest, image[some], flat[some], coarse[some], column[some])
            )
        return torch.cat(parts)

    def refine_all(self, finest: Tensor, boxes: list[Tensor], coarse: Tensor) -> Tensor:
        """What `refine` gives for each of the maps, (N, maps, S * 2 ** steps, S * 2 ** steps)."""
        each = torch.arange(coarse.shape[1], device=coarse.device)
        return torch.stack(
            [self.refine(finest, boxes, coarse, one.expand(len(coarse))) for one in each], dim=1
        )

    def _refine_some(
        self, finest: Tensor, image: Tensor, boxes: Tensor, coarse: Tensor, column: Tensor
    ) -> Tensor:
        sides = boxes[:, 2:] - boxes[:, :2]
        mask = coarse[torch.arange(len(boxes), device=boxes.device), column]
        for _ in range(self.config.steps):
            mask = functional.interpolate(
                mask[:, None], scale_factor=2, mode="bilinear", align_corners=False
            )[:, 0]
            side = mask.shape[-1]
            rows = torch.nonzero(sides.max(dim=1).values / side >= self.config.finest).flatten()
            if len(rows) == 0:
                continue
            count = min(self.config.points, side * side)
            uncertain = mask[rows].flatten(1).abs().topk(count, largest=False, sorted=False).indices
            row = torch.div(uncertain, side, rounding_mode="floor")
            places = (torch.stack([uncertain % side, row], dim=2) + 0.5) / side
            logits = self._look(finest, image[rows], boxes[rows], coarse[rows], places)
            chosen = logits[torch.arange(len(rows), device=rows.device), :, column[rows]]
            redrawn = mask[rows].flatten(1).scatter(1, uncertain, chosen)
            mask = mask.index_copy(0, rows, redrawn.view(-1, side, side))
        return mask

    def loss(
        self,
        finest: Tensor,
        boxes: list[Tensor],
        coarse: Tensor,
        targets: list[Target],
        objects: list[Tensor],
    ) -> Tensor:
        """Mean binary cross-entropy at points drawn where the mask head is uncertain.

        Parameters
        ----------
        finest, boxes, coarse
            As for `refine`.
        targets, objects
            Truth of each image, and index (N_i,) of the true object of each box.
        """
        flat, image = _joined(boxes)
        if len(flat) == 0:
            return coarse.sum() * 0 + finest.sum() * 0
        labels = torch.cat([t.labels[o] for t, o in zip(targets, objects, strict=True)])
        column = own_column(coarse, labels)
        row = torch.arange(len(flat), device=flat.device)
        coarse = coarse.float()
        places = self._draw(coarse[row, column])
        logits = self._look(finest, image, flat, coarse, places)[row, :, column]
        at = flat[:, None, :2] + places * (flat[:, None, 2:] - flat[:, None, :2])
        counts = [len(box) for box in boxes]
        truth = [
            truth_at(target, index[:, None], part[..., 0], part[..., 1])
            for target, index, part in zip(targets, objects, torch.split(at, counts), strict=True)
        ]
        return functional.binary_cross_entropy_with_logits(logits, torch.cat(truth))

    @torch.no_grad()
    def _draw(self, logits: Tensor) -> Tensor:
        """Places (N, P, 2) in boxes, most of them where logits (N, S, S) are near zero."""
        config = self.config
        important = round(config.important * config.train_points)
        many = round(config.oversample * config.train_points)
        places = torch.rand((len(logits), many, 2), device=logits.device)
        doubt = sample_squares(logits[:, None], places)[..., 0].abs()
        best = doubt.topk(important, largest=False, sorted=False).indices
        chosen = places.gather(1, best[..., None].expand(-1, -1, 2))
        rest = torch.rand((len(logits), config.train_points - important, 2), device=logits.device)
        return torch.cat([chosen, rest], dim=1)

    def _look(
        self, finest: Tensor, image: Tensor, boxes: Tensor, coarse: Tensor, places: Tensor
    ) -> Tensor:
        """Logits (n, P, maps) at places (n, P, 2), x and y from 0 to 1 within each box."""
        count, points = places.shape[:2]
        at = boxes[:, None, :2] + places * (boxes[:, None, 2:] - boxes[:, None, :2])
        fine = sample_map(finest, image, at / self.stride)
        thought = sample_squares(coarse, places)
        logits: Tensor = self(fine.flatten(0, 1), thought.flatten(0, 1))
        return logits.view(count, points, -1)


def _joined(boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Boxes of all images, and the image of each."""
    flat = torch.cat(boxes)
    counts = torch.tensor([len(box) for box in boxes], device=flat.device)
    return flat, torch.repeat_interleave(torch.arange(len(boxes), device=flat.device), counts)
