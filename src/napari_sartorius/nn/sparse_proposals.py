"""The proposal head at a few anchors only, for the loss, which looks at no others.

A loss over 256 sampled anchors sends nothing back from all other places of the maps. Computed where
it is needed, with its gradient, the head costs a small part of the backward pass over whole maps;
what comes out, and what flows back, are the same numbers up to the order in which they are added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.proposals import ProposalHead


def scores_at(
    head: ProposalHead, maps: list[Tensor], image: Tensor, anchor: Tensor
) -> tuple[Tensor, Tensor]:
    """Objectness logits (P,) and deltas (P, 4) of single anchors, float32.

    Parameters
    ----------
    head
        Of one 3x3 convolution.
    maps
        (B, C, H_l, W_l) for each set of anchors; the same map may come twice.
    image, anchor
        (P,) int64: which image, and which anchor, counted through all maps in the order row,
        column, anchor of a place.
    """
    kinds = head.objectness.out_channels
    patches, order, start = [], [], 0
    for one in maps:
        rows, columns = int(one.shape[2]), int(one.shape[3])
        end = start + rows * columns * kinds
        here = torch.nonzero((anchor >= start) & (anchor < end)).flatten()
        place = torch.div(anchor[here] - start, kinds, rounding_mode="floor")
        row = torch.div(place, columns, rounding_mode="floor")
        patches.append(_patches(one, image[here], row, place % columns))
        order.append(here)
        start = end
    # Every map begins at a multiple of `kinds`, so the rest tells the anchor of the place.
    taken = torch.cat(order)
    kind = (anchor % kinds)[taken]
    weight = head.conv.weight.permute(0, 2, 3, 1).flatten(1)
    hidden = functional.linear(torch.cat(patches), weight, head.conv.bias)
    hidden = functional.relu(hidden, inplace=True)
    with torch.autocast(hidden.device.type, enabled=False):
        hidden = hidden.float()
        logits = functional.linear(hidden, head.objectness.weight.flatten(1), head.objectness.bias)
        deltas = functional.linear(hidden, head.deltas.weight.flatten(1), head.deltas.bias)
    each = torch.arange(len(taken), device=taken.device)
    back = torch.empty_like(taken)
    back[taken] = each
    return logits[each, kind][back], deltas.view(-1, kinds, 4)[each, kind][back]


def _patches(one: Tensor, image: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Features (P, 9 C) of the 3x3 neighbourhoods in the order row, column, channel."""
    _, channels, rows, columns = one.shape
    padded = functional.pad(one.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    near = torch.arange(3, device=one.device)
    y = (row[:, None] + near)[:, :, None]
    x = (column[:, None] + near)[:, None, :]
    index = (image[:, None, None] * (rows + 2) + y) * (columns + 2) + x
    chosen = padded.reshape(-1, channels).index_select(0, index.flatten())
    return chosen.view(len(image), 9 * channels)
