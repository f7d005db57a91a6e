"""What a network says of objects in a column for each category, or in one column for all."""

from __future__ import annotations

import torch
from torch import Tensor


def own_column(values: Tensor, labels: Tensor) -> Tensor:
    """Which column of (N, K or 1, ...) values speaks of each category (N,)."""
    return torch.zeros_like(labels) if values.shape[1] == 1 else labels


def own_values(values: Tensor, labels: Tensor) -> Tensor:
    """Values (N, ...) of each object's own category (N,) out of (N, K or 1, ...)."""
    row = torch.arange(len(labels), device=labels.device)
    return values[row, own_column(values, labels)]
