"""Makes the fake jobs importable, here and in the worker, which takes over sys.path."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from napari_sartorius.engine.client import WorkerClient

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def client() -> Iterator[WorkerClient]:
    """A client whose worker surely ends with the test."""
    with WorkerClient(grace=1.0) as client:
        yield client
