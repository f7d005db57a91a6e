"""How long a training step takes on this computer, as earlier ones have shown."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.atomic import write_text
from napari_sartorius.training.run_state import user_runs_folder

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.training.config import TrainConfig

_LOG = logging.getLogger(__name__)
_MOST = 50


def times_file() -> Path:
    """Where the times are kept."""
    return user_runs_folder().parent / "step-times.json"


def step_key(config: TrainConfig, device: str) -> str:
    """Names what decides how long a step takes: network, crops, arithmetic, device."""
    parts = [
        config.architecture.model_dump_json(exclude={"num_classes"}),
        str((config.crop, config.batch_size, config.accumulate, config.precision, config.threads)),
        device,
    ]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def known_seconds(key: str, within: float | None = None) -> float | None:
    """Seconds per step of the last run like this one; None when there was none.

    Parameters
    ----------
    key
        As `step_key` gives it.
    within
        Seconds since they were measured, above which they do not count; None takes any.
    """
    known = _read().get(key)
    if known is None or (within is not None and time.time() - known["at"] > within):
        return None
    return known["seconds"]


def remember_seconds(key: str, seconds: float) -> None:
    """Keep what a step took; a list that cannot be written is no reason to fail."""
    if seconds <= 0:
        return
    times = {name: value for name, value in _read().items() if name != key}
    times[key] = {"seconds": round(seconds, 4), "at": round(time.time())}
    kept = dict(list(times.items())[-_MOST:])
    try:
        write_text(times_file(), json.dumps(kept, indent=1) + "\n")
    except UserError as error:
        _LOG.warning("%s", error)


def _read() -> dict[str, dict[str, float]]:
    """What is kept: for each key the seconds, and when they were measured (since 1970)."""
    try:
        times = json.loads(times_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(times, dict):
        return {}
    # an earlier version kept the seconds alone
    times = {k: v if isinstance(v, dict) else {"seconds": v, "at": 0.0} for k, v in times.items()}
    return {key: one for key, one in times.items() if _is_known(one)}


def _is_known(one: dict[str, Any]) -> bool:
    numbers = one.get("seconds"), one.get("at")
    return all(isinstance(number, int | float) for number in numbers) and one["seconds"] > 0
