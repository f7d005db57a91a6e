"""Puts off making the engine's client until the first job, so that the dock opens without it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.engine.client import WorkerClient
    from napari_sartorius.engine.messages import JobMessage


class LateClient:
    """A `WorkerClient` that is made, and its modules imported, by the first job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: WorkerClient | None = None
        self._closed = False

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker, or None while there is none."""
        return self._client.worker_pid if self._client is not None else None

    @property
    def is_busy(self) -> bool:
        """Whether a job is running or waiting."""
        return self._client is not None and self._client.is_busy

    def submit(self, job: Any, listener: Callable[[JobMessage], None] | None = None) -> Any:
        """Queue a job; the handle it returns has ``cancel()``. From any thread.

        Raises
        ------
        UserError
            When the client is closed.
        """
        with self._lock:
            if self._closed:
                raise UserError("The engine of this dock is closed: open the dock again.")
            if self._client is None:
                from napari_sartorius.engine.client import WorkerClient

                self._client = WorkerClient()
            client = self._client
        return client.submit(job, listener)

    def close(self) -> None:
        """End the worker, if there is one; safe to call twice."""
        with self._lock:
            self._closed = True
            client = self._client
        if client is not None:
            client.close()
