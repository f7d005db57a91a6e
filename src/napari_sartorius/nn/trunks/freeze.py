"""What of a trunk stays as it is in training, and what takes the place of batch normalisation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable

_GROUPS = 32


def batch_norms(body: nn.Module) -> list[nn.BatchNorm2d]:
    """Every batch normalisation of a network."""
    return [module for module in body.modules() if isinstance(module, nn.BatchNorm2d)]


def replace_with_group_norm(body: nn.Module) -> None:
    """Put group normalisation (Wu and He 2018) in the place of every batch normalisation.

    32 groups, fewer where the channels do not divide or a group would hold one channel only.
    An activation that timm keeps in its normalisation layers stays.
    """
    for parent in list(body.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                parent.add_module(name, _group_norm_like(child))


def _group_norm_like(norm: nn.BatchNorm2d) -> nn.Module:
    channels = norm.num_features
    group = nn.GroupNorm(math.gcd(_GROUPS, max(1, channels // 2)), channels, eps=norm.eps)
    after = [getattr(norm, part) for part in ("drop", "act") if hasattr(norm, part)]
    after = [module for module in after if not isinstance(module, nn.Identity)]
    return nn.Sequential(group, *after) if after else group


def parts_up_to(body: nn.Module, levels: list[str], count: int) -> list[nn.Module]:
    """First `count` parts of a network: its stem, then what leads to each level.

    Parameters
    ----------
    body
        A timm feature extractor, whose children are in the order in which they run.
    levels
        Name of the module that each level comes from, finest first.
    count
        0 for nothing, 1 for the stem, 2 for the first level too, and so on.
    """
    if count == 0:
        return []
    leaves = [
        (name, module)
        for name, module in body.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    ]
    first = levels[0].split(".")[0]
    stem = next(i for i, (name, _) in enumerate(leaves) if _within(name, first))
    ends = [stem]
    ends += [max(i for i, (n, _) in enumerate(leaves) if _within(n, x)) + 1 for x in levels]
    return [module for _, module in leaves[: ends[count - 1]]]


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def freeze(modules: Iterable[nn.Module]) -> None:
    """Keep these layers as they are: no gradients for weights, no update of statistics."""
    for module in modules:
        module.eval()
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(False)
