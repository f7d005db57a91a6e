"""The synthetic weights of a reference network, made by the generator that lies beside it."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import torch


def golden_weights(
    networks: Path, case: str, *, with_ignored: bool = True
) -> dict[str, torch.Tensor]:
    """State dict of a case, verified; without the entries that only some checkpoints have."""
    spec = importlib.util.spec_from_file_location("make_weights", networks / "make_weights.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    keys = json.loads((networks / case / "keys.json").read_text())
    weights = maker.build_state_dict(keys, with_ignored=with_ignored)
    maker.verify(weights, keys)
    return dict(weights)
