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
    patches = _patches(maps, image, torch.div(anchor, kinds, rounding_mode="floor"))
    weight = head.conv.weight.permute(0, 2, 3, 1).flatten(1)
    hidden = functional.relu(functional.linear(patches, weight, head.conv.bias), inplace=True)
    with torch.autocast(hidden.device.type, enabled=False):
        hidden = hidden.float()
        logits = functional.linear(hidden, head.objectness.weight.flatten(1), head.objectness.bias)
        deltas = functional.linear(hidden, head.deltas.weight.flatten(1), head.deltas.bias)
    # Every map begins at a multiple of `kinds`, so the rest tells the anchor of the place.
    each, kind = torch.arange(len(anchor), device=anchor.device), anchor % kinds
    return logits[each, kind], deltas.view(-1, kinds, 4)[each, kind]


def _patches(maps: list[Tensor], image: Tensor, place: Tensor) -> Tensor:
    """Features (P, 9 C) of 3x3 neighbourhoods in the order row, column, channel.

    `place` counts the pixels of one image through all maps. All maps become one table with a border
    of zeros, so that nothing depends on how many places lie on each and a graphics card need not
    be waited for.
    """
    channels = maps[0].shape[1]
    tables, facts, first, base = [], [], 0, 0
    for one in maps:
        count, rows, columns = one.shape[0], int(one.shape[2]), int(one.shape[3])
        tables.append(functional.pad(one.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)))
        facts.append((first, rows, columns, base))
        first += rows * columns
        base += count * (rows + 2) * (columns + 2)
    table = torch.cat([one.reshape(-1, channels) for one in tables])
    known = torch.tensor(facts, device=place.device)
    level = torch.bucketize(place, known[1:, 0].contiguous(), right=True)
    first_of, rows_of, columns_of, base_of = known[level].unbind(1)
    row = torch.div(place - first_of, columns_of, rounding_mode="floor")
    column = (place - first_of) % columns_of
    near = torch.arange(3, device=place.device)
    y = (image * (rows_of + 2) + row)[:, None, None] + near[:, None]
    index = (base_of + column)[:, None, None] + near + y * (columns_of + 2)[:, None, None]
    return table.index_select(0, index.flatten()).view(len(place), 9 * channels)
