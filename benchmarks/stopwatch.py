"""How long a call takes at its best, for comparing two ways of doing the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def seconds(function: Callable[[], object], budget: float = 0.5) -> float:
    """Best of `budget` seconds of runs: the time without other programs' share."""
    best, spent = float("inf"), 0.0
    while spent < budget:
        start = time.perf_counter()
        function()
        elapsed = time.perf_counter() - start
        best, spent = min(best, elapsed), spent + elapsed
    return best


def processor_seconds(function: Callable[[], object], budget: float = 1.0) -> float:
    """Best of `budget` seconds of runs in time of the processor, for work on one core.

    Where other programs keep the machine busy the time on the wall says nothing.
    """
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < budget or best == float("inf"):
        begin = time.process_time()
        function()
        best = min(best, time.process_time() - begin)
    return best
