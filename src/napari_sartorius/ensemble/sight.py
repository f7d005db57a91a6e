"""One network's view of a batch: what it sees, where boxes are there, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from napari_sartorius.core.views import BoxMap, View
from napari_sartorius.nn.detector import ScoredBoxes
from napari_sartorius.nn.own_column import own_values

if TYPE_CHECKING:
    from napari_sartorius.ensemble.member_input import MemberInput

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Sight:
    """Feature maps of one network for one or several views of a batch of B images.

    Attributes
    ----------
    network
        Whose they are.
    model
        Its number, from 0.
    views
        The views, V, each with the network's own scale; their maps have the same shape.
    maps
        For each view and image, view by view, where its boxes are.
    features
        What the network's `features` gave for the V * B pictures, view by view.
    scale
        The network's own scale: pixels of its input per pixel of the images.
    half_pixel_shift
        Whether the heads are given boxes half a pixel against reversed axes.
    """

    network: Any
    model: int
    views: tuple[View, ...]
    maps: tuple[BoxMap, ...]
    features: list[Tensor]
    scale: float = 1.0
    half_pixel_shift: bool = False

    @property
    def sizes(self) -> list[Size]:
        """(height, width) of each picture without padding."""
        return [one.seen for one in self.maps]

    def of_view(self, view: int) -> tuple[list[Tensor], tuple[BoxMap, ...]]:
        """Feature maps and box maps of the B images in one of the views."""
        images = len(self.maps) // len(self.views)
        part = slice(view * images, (view + 1) * images)
        return [level[part] for level in self.features], self.maps[part]

    def score(self, boxes: list[Tensor]) -> list[list[ScoredBoxes]]:
        """What the box head says of boxes of each image, for each view; in pixels of the images."""
        scored = self.network.score_boxes(self.features, self._shown(boxes), self.sizes)
        back = [
            ScoredBoxes(one.probabilities.float(), boxes_back(one.boxes.float(), where))
            for one, where in zip(scored, self.maps, strict=True)
        ]
        return self._by_view(back)

    def draw(self, boxes: list[Tensor], labels: list[Tensor]) -> list[list[Tensor]]:
        """Mask probabilities (N, M, M) of boxes of each image, for each view, turned back."""
        shown, wanted = self._shown(boxes), labels * len(self.views)
        if hasattr(self.network, "masks_of"):
            masks = self.network.masks_of(self.features, shown, wanted)
        else:
            masks = [
                own_values(one, label)
                for one, label in zip(
                    self.network.predict_masks(self.features, shown), wanted, strict=True
                )
            ]
        return [
            [masks_back(one.float(), view) for one in part]
            for part, view in zip(self._by_view(masks), self.views, strict=True)
        ]

    def _shown(self, boxes: list[Tensor]) -> list[Tensor]:
        """Boxes (N, 4) of the B images in each of the V * B pictures."""
        every = boxes * len(self.views)
        shown = [boxes_seen(box, where) for box, where in zip(every, self.maps, strict=True)]
        if not self.half_pixel_shift:
            return shown
        return [half_pixel_earlier(box, where) for box, where in zip(shown, self.maps, strict=True)]

    def _by_view(self, values: list[Any]) -> list[list[Any]]:
        images = len(self.maps) // len(self.views)
        return [values[i : i + images] for i in range(0, len(values), images)]


def boxes_seen(boxes: Tensor, where: BoxMap) -> Tensor:
    """Boxes (..., 4) xyxy of an image in pixels of its view."""
    if where.is_identity:
        return boxes
    moved = boxes[..., list(where.order)]
    return moved * boxes.new_tensor(where.factor) + boxes.new_tensor(where.shift)


def boxes_back(boxes: Tensor, where: BoxMap) -> Tensor:
    """Boxes (..., 4) xyxy of a view in pixels of its image; the inverse of `boxes_seen`."""
    if where.is_identity:
        return boxes
    moved = (boxes - boxes.new_tensor(where.shift)) / boxes.new_tensor(where.factor)
    return moved[..., list(where.inverse_order)]


def half_pixel_earlier(boxes: Tensor, where: BoxMap) -> Tensor:
    """Boxes (N, 4) of a view half a pixel against its reversed axes, inside of it.

    The 11th-place system moves its regions so in flipped views (DELTA), at every scale.
    """
    height, width = where.seen
    delta = [0.5 if factor < 0 else 0.0 for factor in where.factor]
    limit = boxes.new_tensor([width, height, width, height])
    return torch.minimum((boxes - boxes.new_tensor(delta)).clamp(min=0), limit)


def masks_back(masks: Tensor, view: View) -> Tensor:
    """Masks (N, M, M) of boxes of a view as they are in the image."""
    reversed_axes = [
        axis
        for axis, is_reversed in ((1, view.rows_reversed), (2, view.columns_reversed))
        if is_reversed
    ]
    if reversed_axes:
        masks = masks.flip(reversed_axes)
    return masks.transpose(1, 2) if view.transposed else masks


def see(batch: Tensor, sizes: list[Size], view: View, given: MemberInput, divisor: int) -> Tensor:
    """Pictures of a batch in one view, as one network is given them.

    Parameters
    ----------
    batch
        (B, C, H, W), images at the top left, zeros below and to their right.
    sizes
        (height, width) of each image.
    view
        With the network's own scale.
    given
        How the network's grey levels and channels follow from the batch's.
    divisor
        Height and width of the result are multiples of it, and as large as the turned batch where
        nothing is rescaled.
    """
    if view.flip == "identity" and view.scale == 1 and given.is_plain:
        return batch
    height, width = view.seen_size((batch.shape[2], batch.shape[3]))
    if view.scale != 1:
        height, width = (
            -(-max(view.seen_size(size)[axis] for size in sizes) // divisor) * divisor
            for axis in (0, 1)
        )
    channels = given.channels or batch.shape[1]
    seen = torch.empty(
        (len(batch), channels, height, width),
        dtype=batch.dtype,
        device=batch.device,
        memory_format=torch.channels_last,
    ).zero_()
    for slot, image, size in zip(seen, batch, sizes, strict=True):
        picture = _turned(_adapted(image[:, : size[0], : size[1]], given), view)
        slot[:, : picture.shape[1], : picture.shape[2]] = picture
    return seen


def _adapted(image: Tensor, given: MemberInput) -> Tensor:
    """A (C, H, W) image with a network's own channels and grey levels."""
    if given.channels == 1 and len(image) > 1:
        image = image.mean(dim=0, keepdim=True)
    elif given.channels is not None and given.channels != len(image):
        image = image.expand(given.channels, -1, -1)
    gain, offset = (image.new_tensor(one)[:, None, None] for one in (given.gain, given.offset))
    return image * gain + offset


def _turned(image: Tensor, view: View) -> Tensor:
    """A (C, H, W) image at the scale of a view, and flipped as it says."""
    size = (image.shape[1], image.shape[2])
    scaled = view.scaled_size(size)
    if scaled != size:
        fewer = scaled[0] < size[0] or scaled[1] < size[1]
        image = functional.interpolate(
            image[None], scaled, mode="bilinear", align_corners=False, antialias=fewer
        )[0]
    if view.transposed:
        image = image.transpose(1, 2)
    axes = [a for a, r in ((1, view.rows_reversed), (2, view.columns_reversed)) if r]
    return image.flip(axes) if axes else image
