"""Fixtures shared by all tests: where the real data is, when it is there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Property tests are not timed: a busy machine is no failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# What several rooms' tests share is imported by its name, also by processes that tests start.
sys.path.insert(0, str(Path(__file__).parent))

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its place among several processes, and skip what cannot run here."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    _skip_viewers_without_canvas(items)


def _group(item: pytest.Item) -> str:
    """Tests that run in one process: those with windows, which share one screen's focus; a file."""
    file = item.path.relative_to(_REPOSITORY / "tests")
    return "windows" if file.parts[0] == "ui" else file.as_posix()


def _skip_viewers_without_canvas(items: list[pytest.Item]) -> None:
    """Where Qt draws into memory there is no OpenGL for a viewer's canvas."""
    if os.environ.get("QT_QPA_PLATFORM") != "offscreen":
        return
    skip = pytest.mark.skip(reason="a viewer's canvas needs OpenGL; install Xvfb to run this")
    for item in items:
        if any(name.startswith("make_napari_viewer") for name in getattr(item, "fixturenames", ())):
            item.add_marker(skip)
