"""Lets a model draw the one object that a person points at.

The stages of a network are called one by one (`nn.detector.Detector`): boxes at the place pointed
at are scored and moved, the best of them get masks, and the one that fits all that was said is the
answer. Networks without stages look at the window as a whole, and the object there is picked.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torchvision.ops import box_iou

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.paste import paste
from napari_sartorius.inference.looks import distinct, joined
from napari_sartorius.inference.pick import pick
from napari_sartorius.inference.prompt import PromptAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_sartorius.inference.looks import Candidates, Looks
    from napari_sartorius.inference.prompt import Point, Prompt, Window
    from napari_sartorius.inference.selection import Selection

_MOVES = 2  # times that a box at a click is moved to where the box head sees the object
_BOX_MOVES = 1
_CLOSE = 0.2  # of a box's sides: how far from its middle a click usually is
_LEAST_ALIKE = 0.25  # box IoU of an object with a box that was dragged around it
_BITE = 0.25  # diameters around a point outside that are cut off where no other cell is there
_TRUST = 0.6  # weight of the box head's place, beside that of the box that was dragged
_MOST_DRAWN = 12  # candidates for a click whose masks are drawn
_SIDES = (0.6, 1.0, 1.7, 2.8)  # of the boxes tried where none is proposed, in typical diameters
_SHAPES = (0.5, 1.0, 2.0)  # their heights over their widths


class Prompter:
    """Answers prompts for one model.

    Parameters
    ----------
    looks
        Its network.
    selection
        Its categories, and from which probability a pixel belongs to a mask.
    diameter
        Typical cell diameter in network pixels.
    """

    def __init__(self, looks: Looks, selection: Selection, diameter: float) -> None:
        self.looks = looks
        self._selection = selection
        self._diameter = diameter

    def answer(self, window: Window, prompt: Prompt) -> PromptAnswer:
        """Draw the object that a prompt means.

        Parameters
        ----------
        window
            From `prompt.window_around` for this prompt, or for one before it at the same object.
        prompt
            What was pointed at.

        Returns
        -------
        PromptAnswer
            With one object in image pixels, or none where the model draws nothing.

        Raises
        ------
        UserError
            When the prompt names a category that the model does not know.
        """
        begin = time.perf_counter()
        found = self._found(window, prompt, False)
        if not len(found) and self.looks.has_stages and prompt.box is None:
            found = self._found(window, prompt, True)
        category = self._selection.names[int(found.categories[0])] if len(found) else ""
        return PromptAnswer(found, category, self.looks.device, time.perf_counter() - begin)

    def _found(self, window: Window, prompt: Prompt, everywhere: bool) -> Instances:
        """The object meant; `everywhere` tries boxes of all sizes instead of those proposed."""
        allowed = self._allowed(prompt.category)
        if self.looks.has_stages:
            candidates = self._by_stages(window, prompt, allowed, everywhere)
        else:
            candidates = self._in_window(window, prompt, allowed)
        pasted = self._pasted(candidates, window)
        rank = fit(candidates, pasted.boxes, prompt.points)
        return pick(pasted, prompt, rank, _BITE * self._diameter * window.to_image[0])

    def _allowed(self, category: str | None) -> Tensor | None:
        """(K,) bool, on the network's device; None for all categories."""
        names = self._selection.names
        if category is not None and category not in names:
            raise UserError(
                f"the model knows no cell type {category!r}; choose one of: {', '.join(names)}"
            )
        only = self._selection.only if category is None else names.index(category)
        if only is None:
            return None
        return torch.arange(len(names), device=self.looks.device) == only

    def _by_stages(
        self, window: Window, prompt: Prompt, allowed: Tensor | None, everywhere: bool
    ) -> Candidates:
        parts = []
        if prompt.points or prompt.outside:
            parts.append(self._at_points(window, prompt, allowed, everywhere))
        if prompt.box is not None:
            parts.insert(0, self._in_box(window, prompt, allowed))
        return joined(parts)

    def _in_window(self, window: Window, prompt: Prompt, allowed: Tensor | None) -> Candidates:
        """All objects of the window; with a box those that resemble it, the most alike first."""
        found = self.looks.everything(window, allowed)
        if prompt.box is None:
            return found
        given = self._tensor(window.inward(np.array([prompt.box])))
        alike = box_iou(given, found.boxes.float())[0]
        order = alike.argsort(descending=True, stable=True)
        return found.of(order[alike[order] > _LEAST_ALIKE])

    def _in_box(self, window: Window, prompt: Prompt, allowed: Tensor | None) -> Candidates:
        """The object in the box, whose sides the box head may move a little."""
        given = self._tensor(window.inward(np.array([prompt.box])))
        moved, score, label = self.looks.at_boxes(window, given, _BOX_MOVES, allowed)
        box = _TRUST * moved + (1 - _TRUST) * given
        return self.looks.drawn(window, box, score, label)

    def _at_points(
        self, window: Window, prompt: Prompt, allowed: Tensor | None, everywhere: bool
    ) -> Candidates:
        """Objects at all points, the best first."""
        points = window.inward(np.array([*prompt.points, *prompt.outside])[:, ::-1])
        seeds = [self.looks.near(window, self._tensor(points))]
        if everywhere or not len(seeds[0]):
            seeds = [self._tensor(boxes_at(point, self._diameter)) for point in points]
        if len(prompt.points) > 1 or prompt.box is not None:
            seeds.append(self._tensor(self._around(window, prompt)))
        boxes, scores, labels = self.looks.at_boxes(window, torch.cat(seeds), _MOVES, allowed)
        rows = distinct(boxes, scores, _MOST_DRAWN * len(points))
        return self.looks.drawn(window, boxes[rows], scores[rows], labels[rows])

    def _around(self, window: Window, prompt: Prompt) -> NDArray[np.float32]:
        """A box around everything that is inside."""
        box = window.inward(np.array([prompt.extent]))
        room = self._diameter / 4
        return box + np.array([[-room, -room, room, room]], np.float32)

    def _tensor(self, boxes: NDArray[np.floating]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(boxes, np.float32)).to(self.looks.device)

    def _pasted(self, found: Candidates, window: Window) -> Instances:
        boxes = window.outward(found.boxes.cpu().numpy())
        labels = found.labels.cpu().numpy()
        masks = paste(
            found.grids.cpu().numpy(),
            boxes,
            window.image_size,
            self._selection.mask[labels],
            self._selection.whole_pixels,
        )
        return Instances(window.image_size, boxes, found.scores.cpu().numpy(), labels, masks)


def fit(
    candidates: Candidates, boxes: NDArray[np.float32], points: Sequence[Point]
) -> NDArray[np.float32]:
    """How likely each candidate is the one that was meant, (N,) float32, for comparison only.

    The root of its score, times the square of how sure its mask is, times how near a single click
    is to the middle of its box (Gaussian). Chosen by annotated training images, where it finds a
    cell more often than the score alone.

    Parameters
    ----------
    candidates
        Their scores and masks.
    boxes : (N, 4)
        Where they are, xyxy in image pixels.
    points
        (y, x) inside the object, in image pixels.
    """
    grids = candidates.grids.cpu().numpy()
    set_ = grids > 0.5
    count = np.maximum(set_.sum(axis=(1, 2)), 1)
    sure = (grids * set_).sum(axis=(1, 2)) / count
    result = np.sqrt(candidates.scores.cpu().numpy()) * sure**2
    if len(points) == 1:
        middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        off = (np.array(points[0])[::-1] - middle) / np.maximum(size, 1e-3)
        result = result * np.exp(-(off**2).sum(axis=1) / (2 * _CLOSE**2))
    fitting: NDArray[np.float32] = result.astype(np.float32)
    return fitting


def boxes_at(point: NDArray[np.float32], diameter: float) -> NDArray[np.float32]:
    """Boxes (N, 4) xyxy of many sizes and shapes around a point (x, y)."""
    sides = np.array(_SIDES)[:, None] * diameter
    shapes = np.sqrt(np.array(_SHAPES))[None]
    size = np.stack([sides / shapes, sides * shapes], axis=-1).reshape(-1, 2)
    return np.concatenate([point - size / 2, point + size / 2], axis=1).astype(np.float32)
