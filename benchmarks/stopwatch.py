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


def processor_seconds(function: Callable[[], object], budget: float = 0.5) -> float:
    """Least processor time of a run, of all threads, within `budget` seconds (at least one run).

    For work that only computes: what else the machine is doing does not count.
    """
    best, spent = float("inf"), 0.0
    while spent == 0 or spent < budget:
        start = time.process_time()
        function()
        elapsed = time.process_time() - start
        best, spent = min(best, elapsed), spent + max(elapsed, 1e-9)
    return best
