"""Lets the model chosen under Segment draw the cell that is pointed at, add to it, or redo one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import capital
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.prompt import Prompt
from napari_sartorius.ui import image_source
from napari_sartorius.ui.correct.layer_categories import category_names
from napari_sartorius.ui.correct.pixel_steps import Plane
from napari_sartorius.ui.correct.pointed_image import PointedImage
from napari_sartorius.ui.correct.prompt_bridge import PromptBridge, Question
from napari_sartorius.ui.correct.session import CorrectionSession

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from napari_sartorius.engine.prompt_jobs import PromptJob
    from napari_sartorius.inference.prompt import PromptAnswer

_MOST_REMEMBERED = 200  # cells whose prompts can be refined
_LOADING = "loading"


@dataclass(frozen=True, eq=False)
class _Asked:
    """What was asked, to know what to do with the answer.

    ``label`` is the cell to replace, 0 to add one; ``verb`` says so in the status line.
    """

    session: CorrectionSession
    plane: Plane
    prompt: Prompt
    label: int
    verb: str
    kind: str
    begun: float


@dataclass(frozen=True)
class ModelChoice:
    """Who answers, as the Segment tab says when it is asked.

    Attributes
    ----------
    bridge
        The way to a worker.
    config
        Returns the model and its settings; may raise `UserError`.
    image
        Returns the image layer that is chosen there, or None.
    """

    bridge: PromptBridge
    config: Callable[[], SegmentConfig]
    image: Callable[[], Image | None]


class ModelDrawing(QObject):
    """Turns clicks and boxes into prompts, and answers into cells.

    Parameters
    ----------
    viewer : ViewerModel
        Where the image is.
    choice : ModelChoice or None
        Who answers; None where the tab stands alone.
    """

    said = Signal(str)
    """What is going on."""
    refused = Signal(str)
    """Why there is no cell, in one sentence."""
    made = Signal(int)
    """The label of the cell that was added or replaced another."""
    sketched = Signal(object)
    """Points (N, 2) of a closed outline to show until the answer comes; None to show it no more."""

    def __init__(
        self, viewer: ViewerModel, choice: ModelChoice | None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._choice = choice
        self._pointed = PointedImage(viewer)
        self._session: CorrectionSession | None = None
        self._prompts: dict[int, Prompt] = {}
        if choice is not None:
            choice.bridge.answered.connect(self._on_answer)
            choice.bridge.failed.connect(self._on_failed)
            choice.bridge.progressed.connect(self._on_progress)

    def set_session(self, session: CorrectionSession | None) -> None:
        """Draw into another layer from now on; what was asked for the last one is dropped."""
        self.cancel()
        self._prompts.clear()
        self._session = session

    def cancel(self) -> bool:
        """Wait for no answer any more; False when none was waited for."""
        if self._choice is None or not self._choice.bridge.is_asking:
            return False
        self._choice.bridge.cancel()
        self.sketched.emit(None)
        return True

    def get_ready(self) -> None:
        """Import what the first prompt needs, before the user has found the place to click."""
        if self._choice is not None:
            threading.Thread(
                target=_import_all, name="sartorius-prompt-imports", daemon=True
            ).start()

    def add(self, points: NDArray[np.float64], kind: str) -> None:
        """Add the cell at one point (1, 2), or in the box between two corners (2, 2), as (y, x).

        `kind` is the category for new cells.
        """
        session = self._need_session()
        edges = np.asarray(points, np.float64) + 0.5
        if len(edges) > 1:
            (top, left), (bottom, right) = edges.min(axis=0), edges.max(axis=0)
            self._ask(Prompt(box=(left, top, right, bottom)), 0, "added", kind)
            return
        there = session.label_at((float(points[0][0]), float(points[0][1])))
        if there and not session.overwrite:
            raise UserError(
                f"Cell {there} is there already: Shift+click adds to the selected cell, and Second "
                "opinion draws it anew."
            )
        self._ask(Prompt(points=(_point(edges[0]),)), 0, "added", kind)

    def refine(self, point: NDArray[np.float64], inside: bool, labels: list[int]) -> None:
        """Draw the selected cell anew so that it holds a point (y, x), or does not hold it."""
        label = self._one_of(labels, "refine it")
        prompt = self._prompts.get(label) or Prompt(box=self._box_of(label))
        prompt = prompt.with_point(_point(np.asarray(point, np.float64) + 0.5), inside)
        self._ask(prompt, label, "refined", self._kind_of(label))

    def second_opinion(self, labels: list[int]) -> None:
        """Replace the selected cell by what the model sees in its box."""
        label = self._one_of(labels, "get the model's opinion on it")
        self._ask(Prompt(box=self._box_of(label)), label, "replaced", self._kind_of(label))

    def _ask(self, prompt: Prompt, label: int, verb: str, kind: str) -> None:
        """Find the image and ask; pixels are read in another thread."""
        choice, session = self._choice, self._need_session()
        if choice is None:
            raise UserError("Open the Sartorius dock to let its model draw cells.")
        from napari_sartorius.zoo import find_bundle

        config = choice.config()
        card = find_bundle(config.model).card
        image, plane = self._pointed.find(session.layer, choice.image())
        size = config.pixel_size or image_source.pixel_size_um(image)
        names = card.category_names
        # where all cells of an image are of one kind, the kind is known before the model looks
        if kind in names and (label or card.one_category_per_image):
            prompt = replace(prompt, category=kind)

        def make_job() -> PromptJob:
            from napari_sartorius.engine.prompt_jobs import PromptJob

            window = self._pointed.window(plane, prompt, card, config, size)
            return PromptJob(window, prompt, config)

        asked = _Asked(session, session.plane, prompt, label, verb, kind, time.perf_counter())
        self.sketched.emit(_sketch(prompt, config.diameter or card.cell_diameter))
        choice.bridge.ask(Question(make_job, asked))

    def _on_answer(self, asked: _Asked, answer: PromptAnswer) -> None:
        if asked.session is not self._session:
            return
        self.sketched.emit(None)
        try:
            label = self._use(asked, answer)
        except UserError as error:
            self.refused.emit(str(error))
            return
        if label:
            while len(self._prompts) >= _MOST_REMEMBERED:
                self._prompts.pop(next(iter(self._prompts)))
            self._prompts[label] = asked.prompt
            self.made.emit(label)

    def _use(self, asked: _Asked, answer: PromptAnswer) -> int:
        if not len(answer.found):
            raise UserError("The model sees no cell there: drag a box around it, or draw it (D).")
        masks = answer.found.masks
        corner = int(masks.boxes[0, 1]), int(masks.boxes[0, 0])
        score = float(answer.found.scores[0])
        kind = answer.category
        known = category_names(asked.session.layer)
        if known and kind not in known:
            kind = asked.kind or kind
        seconds = time.perf_counter() - asked.begun
        values: dict[str, Any] = {"category": kind, "score": score}
        text = f"({kind}, {score:.2f}) in {seconds:.1f} s" if kind else f"in {seconds:.1f} s"
        if not asked.label:
            at = asked.prompt.points[0] if asked.prompt.points else None
            return asked.session.add_found(asked.plane, masks.bitmap(0), corner, values, text, at)
        return asked.session.replace_by_found(
            asked.plane, asked.label, masks.bitmap(0), corner, values, asked.verb, text
        )

    def _on_failed(self, asked: _Asked, sentence: str) -> None:
        if asked.session is self._session:
            self.sketched.emit(None)
            self.refused.emit(sentence)

    def _on_progress(self, stage: str) -> None:
        if stage.startswith(_LOADING):
            self.said.emit(f"{capital(stage)} …")
        elif stage:
            self.said.emit("The model is looking …")

    def _need_session(self) -> CorrectionSession:
        if self._session is None:
            raise UserError("Segment an image or add labels first: there is nothing to correct.")
        return self._session

    def _one_of(self, labels: list[int], what: str) -> int:
        session = self._need_session()
        if len(labels) != 1 or labels[0] not in session.rows.boxes[session.plane]:
            raise UserError(f"Select one cell of this slice to {what}.")
        return labels[0]

    def _box_of(self, label: int) -> tuple[float, float, float, float]:
        session = self._need_session()
        y0, x0, y1, x1 = session.rows.boxes[session.plane][label]
        return float(x0), float(y0), float(x1), float(y1)

    def _kind_of(self, label: int) -> str:
        session = self._need_session()
        session.rows.complete_columns()
        return str(session.rows.values([label], "category")[0])


def _import_all() -> None:
    import napari_sartorius.engine.prompt_jobs
    import napari_sartorius.inference.prepare
    import napari_sartorius.postprocess.edits  # noqa: F401


def _point(edge: NDArray[np.float64]) -> tuple[float, float]:
    return float(edge[0]), float(edge[1])


def _sketch(prompt: Prompt, diameter: float) -> NDArray[np.float64]:
    """Outline (N, 2) of (y, x) in pixel centres around what was pointed at."""
    if prompt.box is not None:
        x0, y0, x1, y1 = (side - 0.5 for side in prompt.box)
        return np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)])
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([np.sin(angle), np.cos(angle)], axis=1) * diameter / 2
    return np.array(prompt.points[-1]) - 0.5 + ring
