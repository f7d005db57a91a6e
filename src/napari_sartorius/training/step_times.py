"""How long a training step takes on this computer, as earlier ones have shown."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING

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


def known_seconds(key: str) -> float | None:
    """Seconds per step of the last run like this one; None when there was none."""
    value = _read().get(key)
    return value if isinstance(value, int | float) and value > 0 else None


def remember_seconds(key: str, seconds: float) -> None:
    """Keep what a step took; a list that cannot be written is no reason to fail."""
    if seconds <= 0:
        return
    times = {name: value for name, value in _read().items() if name != key}
    times[key] = round(seconds, 4)
    kept = dict(list(times.items())[-_MOST:])
    try:
        write_text(times_file(), json.dumps(kept, indent=1) + "\n")
    except UserError as error:
        _LOG.warning("%s", error)


def _read() -> dict[str, float]:
    try:
        times = json.loads(times_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return times if isinstance(times, dict) else {}
