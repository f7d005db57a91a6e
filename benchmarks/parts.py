"""Where a network's time goes: its stages are timed while it detects as usual."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Stage methods of the networks that have them, by what the table calls them.
_STAGES = {
    "features": "features",
    "propose": "proposals",
    "score_boxes": "boxes",
    "predict_masks": "masks",
}


class PartWatch:
    """Seconds spent in each part of a network while it is attached.

    Attributes
    ----------
    seconds
        By part: trunk, pyramid, proposals, boxes, masks; those that a network lacks are absent.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def attached(self, network: Any) -> Iterator[None]:
        """Time what `network` calls within this context."""
        wrapped = [(network, m, part) for m, part in _STAGES.items() if hasattr(network, m)]
        if hasattr(network, "trunk"):
            wrapped.append((network.trunk, "forward", "trunk"))
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in wrapped]
        for owner, name, part in wrapped:
            setattr(owner, name, self._timed(getattr(owner, name), part))
        try:
            yield
        finally:
            for owner, name, _ in before:
                delattr(owner, name)

    def _timed(self, call: Callable[..., Any], part: str) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            start = now()
            answer = call(*args, **kwargs)
            self.seconds[part] = self.seconds.get(part, 0.0) + now() - start
            return answer

        return run

    def shares(self, whole: float, pasting: float) -> dict[str, float]:
        """Part -> share of `whole` seconds, with what no part claimed as ``rest``."""
        seconds = dict(self.seconds)
        if "features" in seconds:
            seconds["pyramid"] = seconds.pop("features") - seconds.get("trunk", 0.0)
        seconds["pasting"] = pasting
        seconds["rest"] = whole - sum(seconds.values())
        order = ("trunk", "pyramid", "proposals", "boxes", "masks", "pasting", "rest")
        return {part: seconds[part] / whole for part in order if part in seconds}


def now() -> float:
    """The clock, once a graphics card has finished what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
