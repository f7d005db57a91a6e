"""What the dock needs of who runs its jobs; only type checkers read it, the dock opens without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.engine.messages import JobMessage


class EngineClient(Protocol):
    """The part of `engine.client.WorkerClient` that the dock uses."""

    @property
    def is_busy(self) -> bool:
        """Whether a job is running or waiting."""

    def submit(self, job: Any, listener: Callable[[JobMessage], None] | None = None) -> Any:
        """Queue a job; the handle it returns has ``cancel()``."""

    def close(self) -> None:
        """End the worker."""
