"""Makes a network compute in bfloat16, as a whole or only where it draws masks.

Autocast alone converts every weight anew for every image; weights that are stored as the layer
reads them give the same result without that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from napari_sartorius.nn.network import Network

# Subclasses may have a reason to be exact or read their weights in other ways.
_CONVERTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def store_in_bfloat16(part: nn.Module) -> int:
    """Round the weights that autocast would round on each use, in place; returns how many."""
    count = 0
    for module in part.modules():
        if type(module) in _CONVERTED:
            module.to(torch.bfloat16)
            count += 1
    return count


def draw_masks_in_bfloat16(network: Network, device: str) -> bool:
    """Let the parts of a network that only draw masks compute in bfloat16, for good.

    What is found, and with which score and box, stays that of float32. Returns whether the
    network has such parts.
    """
    # Not inherited: a family that builds on another may call these parts in other ways.
    parts: tuple[str, ...] = vars(type(network)).get("mask_parts", ())
    for name in parts:
        store_in_bfloat16(network.get_submodule(name))
    if parts:
        family: Any = network
        half = torch.autocast(torch.device(device).type, torch.bfloat16)
        family.draw_masks = half(family.draw_masks)
    return bool(parts)
