"""What a job finds in the worker: somewhere to report to, and what earlier jobs left warm."""

from __future__ import annotations

import gc
import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from napari_sartorius.core.progress import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")


class WarmCache:
    """Keeps the few most recently used heavy objects (loaded networks) between jobs.

    Parameters
    ----------
    capacity
        How many objects stay; the one that was not used for longest goes first.
    """

    def __init__(self, capacity: int = 3) -> None:
        self._capacity = capacity
        self._items: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the object of `key`, making it when it is not there."""
        if key not in self._items:
            while len(self._items) >= self._capacity:
                self._items.popitem(last=False)
                release_memory()
            self._items[key] = make()
        self._items.move_to_end(key)
        item: T = self._items[key]
        return item

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._items

    def clear(self) -> None:
        """Forget everything and give the memory back."""
        self._items.clear()
        release_memory()


def release_memory() -> None:
    """Collect garbage, and hand cached accelerator memory back when torch is loaded."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


@dataclass
class WorkerContext:
    """Given to `Job.run`: a monitor that forwards over the pipe, and the warm cache."""

    monitor: Monitor = field(default_factory=Monitor)
    cache: WarmCache = field(default_factory=WarmCache)


@runtime_checkable
class Job(Protocol):
    """Anything picklable that the worker can run.

    Implementations are dataclasses in an importable module (not in a script's ``__main__``). They
    import what is heavy inside `run`, because the viewer imports their module too. A class
    attribute ``outlives_viewer`` that is true lets the worker finish the job when the viewer has
    crashed, and go behind everybody who is waited for. Class attributes ``after_crash`` and
    ``after_memory`` say what the user can do when the worker was stopped or the memory was not
    enough, where that is not what helps a segmentation.
    """

    def run(self, context: WorkerContext) -> Any:
        """Do the work; report to and let yourself be cancelled by ``context.monitor``."""
        ...
