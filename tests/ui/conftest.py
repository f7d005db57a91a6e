"""A dock with a scripted engine, so that the window is tested without networks."""

from __future__ import annotations

import ctypes
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import qtpy
from napari.components import ViewerModel

from napari_sartorius.core.categories import Category
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.engine.jobs import DescribeDeviceJob, PlaneResult, SegmentJob, WarmUpJob
from napari_sartorius.engine.messages import CancelledMessage, FinishedMessage, ProgressMessage
from napari_sartorius.nn.config import MaskRCNNConfig
from napari_sartorius.ui.dock import SartoriusDock
from napari_sartorius.ui.settings import Preferences
from napari_sartorius.zoo.card import CategoryCard, ModelCard, Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = ("round", "long")

if qtpy.API_NAME == "PySide6" and sys.version_info < (3, 12):
    # PySide6 gives None back more often than it took it, with napari some 1,400 times for each
    # labels layer and 5,000 times for each window; when no reference is left, Python aborts. Later
    # versions of Python do not count them.
    ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


@dataclass
class FakeResult:
    """What the worker returns for one plane."""

    instances: Instances
    categories: list[str]
    cell_type: str = "round"
    device: str = "cpu"
    timings: dict[str, float] = field(default_factory=lambda: {"network": 1.25, "masks": 0.25})
    notices: list[str] = field(default_factory=list)
    passes: tuple[Any, ...] = ()


@dataclass
class FakeDevice:
    """What the worker says of the hardware."""

    device: str = "cpu"
    reason: str = "The processor is used because no GPU was found."
    fallback: bool = False


@dataclass
class FakeHandle:
    """Remembers whether it was cancelled."""

    was_cancelled: bool = False

    def cancel(self) -> None:
        self.was_cancelled = True


class FakeClient:
    """Takes jobs; the test says what happens to them, from a thread as the engine does."""

    def __init__(self) -> None:
        self.jobs: list[SegmentJob] = []
        self.handles: list[FakeHandle] = []
        self.listeners: list[Callable[[Any], None]] = []
        self.devices: list[str] = []
        self.warmed: list[str] = []
        self.submitted = threading.Semaphore(0)
        self.closed = 0
        self.is_busy = False

    def submit(self, job: Any, listener: Any = None) -> FakeHandle:
        if isinstance(job, DescribeDeviceJob):
            self.devices.append(job.request)
            listener(FinishedMessage(0, FakeDevice()))
            return FakeHandle()
        if isinstance(job, WarmUpJob):
            self.warmed.append(job.config.model)
            return FakeHandle()
        self.jobs.append(job)
        self.listeners.append(listener)
        self.handles.append(FakeHandle())
        self.submitted.release()
        return self.handles[-1]

    def close(self) -> None:
        self.closed += 1

    def wait_for_job(self) -> None:
        """Wait until another job has arrived."""
        assert self.submitted.acquire(timeout=60), "no job arrived"  # only a hang takes that long

    def say(self, message: Any, job: int = -1) -> None:
        """Tell the listener of a job, from another thread."""
        thread = threading.Thread(target=self.listeners[job], args=(message,))
        thread.start()
        thread.join()

    def progress(self, stage: str, fraction: float, left: float | None = None) -> None:
        self.say(ProgressMessage(1, stage, fraction, left))

    def finish(self, *results: FakeResult) -> None:
        planes = [PlaneResult((), one) for one in results]
        self.say(FinishedMessage(1, planes))

    def confirm_cancel(self) -> None:
        self.say(CancelledMessage(1))


def squares(
    shape: tuple[int, int] = (60, 80), scores: tuple[float, ...] = (0.9, 0.6, 0.3)
) -> Instances:
    """One square cell of 10 x 10 pixels per score, side by side, alternating categories."""
    count = len(scores)
    origins = np.array([[5 + 15 * i, 20] for i in range(count)]).reshape(-1, 2)
    masks = CropMasks.from_bitmaps([np.ones((10, 10), bool)] * count, origins, shape)
    return Instances.from_masks(
        masks,
        scores=np.array(scores, np.float32),
        categories=np.arange(count, dtype=np.int64) % 2,
    )


def make_card(name: str = "first", **changes: Any) -> ModelCard:
    """A card with two categories."""
    facts: dict[str, Any] = {
        "name": name,
        "title": f"The {name} model",
        "description": "Finds squares.",
        "categories": (
            CategoryCard(name=NAMES[0], colour="#e69f00"),
            CategoryCard(name=NAMES[1], colour="#56b4e9"),
        ),
        "cell_diameter": 20.0,
        "pixel_size": 0.5,
        "architecture": MaskRCNNConfig(num_classes=2),
        "thresholds": {NAMES[0]: Thresholds(score=0.4, min_size=30)},
        "licence": "CC0",
        "training_data": "squares",
        "metrics": {"mAP": 0.5},
        "known_failures": ("circles",),
    }
    return ModelCard.model_validate(facts | changes)


@pytest.fixture
def make_cells() -> Callable[..., Instances]:
    return squares


@pytest.fixture
def make_result() -> Callable[..., FakeResult]:
    def make(*arguments: Any, **changes: Any) -> FakeResult:
        return FakeResult(squares(*arguments), list(NAMES), **changes)

    return make


@pytest.fixture
def card_maker() -> Callable[..., ModelCard]:
    return make_card


@pytest.fixture
def categories() -> list[Category]:
    return [Category(1, NAMES[0], "#e69f00"), Category(2, NAMES[1], "#56b4e9")]


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def viewer() -> ViewerModel:
    """A viewer without a window: all that the dock's logic needs, and quick to make."""
    return ViewerModel()


@pytest.fixture
def dock(viewer: ViewerModel, client: FakeClient, qtbot: Any) -> Iterator[SartoriusDock]:
    """The dock with two models and a scripted engine."""
    widget = SartoriusDock(
        viewer,
        client=client,
        cards=[make_card("first"), make_card("second")],
        preferences=Preferences(default_model="second"),
    )
    qtbot.addWidget(widget)
    assert widget.segment is not None  # fills it now rather than when it is shown
    yield widget
    widget.shut_down()


@pytest.fixture
def window(make_napari_viewer: Any) -> Any:
    """A viewer with a real window."""
    return make_napari_viewer()


@pytest.fixture
def docked(window: Any, client: FakeClient) -> Iterator[SartoriusDock]:
    """The dock in a real window."""
    widget = SartoriusDock(
        window, client=client, cards=[make_card("first")], preferences=Preferences()
    )
    window.window.add_dock_widget(widget, name="Sartorius", area="right")
    assert widget.segment is not None
    yield widget
    widget.shut_down()


@pytest.fixture
def segment(dock: SartoriusDock, viewer: Any, client: FakeClient, qtbot: Any) -> Callable[..., Any]:
    """Run on an image with a scripted result, and return the label layer that appears."""

    def run(result: FakeResult, image: Any = None) -> Any:
        if image is not None or not viewer.layers:
            viewer.add_image(np.zeros((60, 80)) if image is None else image, name="plate")
        before = len(viewer.layers)
        dock.segment.run()
        client.wait_for_job()
        with qtbot.waitSignal(dock.bridge.finished):
            client.finish(result)
        qtbot.waitUntil(lambda: len(viewer.layers) == before + 1)
        return viewer.layers[-1]

    return run
