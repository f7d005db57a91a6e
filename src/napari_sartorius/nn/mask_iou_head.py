"""How well does a predicted mask fit its object? Scores that mean masks and not boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from napari_sartorius.nn.config import MaskIoUHeadConfig
    from napari_sartorius.nn.targets import Target


class MaskIoUHead(nn.Module):
    """Convolutions over pooled features and the predicted mask (Huang et al. 2019).

    Parameters
    ----------
    channels
        Of the pooled features.
    resolution
        Side of the pooled features; half that of the masks.
    num_classes
        Categories; one value for each.
    config
        Its layers.
    """

    def __init__(
        self, channels: int, resolution: int, num_classes: int, config: MaskIoUHeadConfig
    ) -> None:
        super().__init__()
        convs: list[nn.Module] = []
        inputs = channels + 1
        for layer in range(config.layers):
            stride = 2 if layer == config.layers - 1 else 1
            convs += [nn.Conv2d(inputs, config.width, 3, stride, padding=1), nn.ReLU(inplace=True)]
            inputs = config.width
        self.convs = nn.Sequential(*convs)
        side = (resolution + 1) // 2
        self.hidden = nn.Sequential(
            nn.Linear(inputs * side * side, config.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(inplace=True),
        )
        self.fit = nn.Linear(config.hidden, num_classes)
        for module in (*self.convs, *self.hidden):
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.fit.weight, std=0.01)
        nn.init.zeros_(self.fit.bias)

    def forward(self, pooled: Tensor, masks: Tensor) -> Tensor:
        """Expected IoU (N, K), float32, about 0..1 but not limited to it.

        Parameters
        ----------
        pooled
            (N, C, R, R).
        masks
            (N, 2 R, 2 R) probabilities of the category that was chosen for each.
        """
        small = functional.max_pool2d(masks[:, None].to(pooled.dtype), 2)
        hidden = self.hidden(self.convs(torch.cat([pooled, small], dim=1)).flatten(1))
        fit: Tensor = self.fit(hidden).float()
        return fit

    def loss(self, fit: Tensor, labels: Tensor, truth: Tensor) -> Tensor:
        """Half the mean squared error of the true category's value against (N,) true IoU.

        Masks that miss their object altogether are left out.
        """
        chosen = torch.nonzero(truth > 0).flatten()
        if not len(chosen):
            return fit.sum() * 0
        return 0.5 * functional.mse_loss(fit[chosen, labels[chosen]], truth[chosen])


def mask_iou(masks: Tensor, truth: Tensor, boxes: Tensor, areas: Tensor) -> Tensor:
    """IoU (N,) of predicted masks with their whole objects, also with what the box cuts off.

    Parameters
    ----------
    masks, truth
        (N, S, S), both 0 or 1, as seen through the boxes.
    boxes
        (N, 4) xyxy network pixels.
    areas
        (N,) area of each object in network pixels.
    """
    cell = ((boxes[:, 2:] - boxes[:, :2]) / masks.shape[-1]).prod(dim=1)
    shared = (masks * truth).sum(dim=(1, 2)) * cell
    inside = truth.sum(dim=(1, 2)) * cell
    union = masks.sum(dim=(1, 2)) * cell + torch.maximum(areas, inside) - shared
    return shared / union.clamp(min=1e-6)


def object_areas(target: Target) -> Tensor:
    """Area (G,) of each object of an image in network pixels."""
    total = torch.cat([target.bits.new_zeros(1, dtype=torch.long), target.bits.long().cumsum(0)])
    sides = target.bitmap_boxes[:, 2:] - target.bitmap_boxes[:, :2]
    pixels = total[target.offsets + sides.prod(dim=1)] - total[target.offsets]
    return pixels.float() * (target.scale[0] * target.scale[1])
