"""How long a step of a run takes here, and how often the run is therefore kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sartorius.training.config import TrainConfig

_SAFE_S = 60.0
"""A crash costs at most about so many seconds of training."""
FRESH_S = 1800.0
"""A step that was timed less than so many seconds ago, as for a plan, is not timed again."""


def checkpoint_every(config: TrainConfig) -> int:
    """Steps between checkpoints: a minute, where it is known how long a step takes."""
    seconds = seconds_per_step(config)
    every = min(config.checkpoint_every, 100)
    return min(every, max(5, round(_SAFE_S / seconds))) if seconds else every


def seconds_per_step(config: TrainConfig, within: float | None = None) -> float | None:
    """What a step of such a run is known to take, if that was measured `within` seconds."""
    from napari_sartorius.inference.device import choose_device
    from napari_sartorius.training.step_times import known_seconds, step_key

    return known_seconds(step_key(config, choose_device(config.device).device), within)
