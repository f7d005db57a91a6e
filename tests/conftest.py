"""Fixtures shared by all tests: where the real data is, when it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parents[1]


def _shared_root() -> Path:
    return Path(os.environ.get("SARTORIUS_SHARED", _REPOSITORY.parent / "shared"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real annotated images; skips where a clone stands alone."""
    folder = _shared_root() / "data"
    if not folder.is_dir():
        pytest.skip(f"real annotated images are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def shared_golden() -> Path:
    """Folder of outputs of the original implementations; skips where a clone stands alone."""
    folder = _shared_root() / "golden"
    if not folder.is_dir():
        pytest.skip(f"reference outputs are not at {folder}")
    return folder
