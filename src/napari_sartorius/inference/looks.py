"""What a network has seen of small windows, kept, so that asking again costs milliseconds."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torchvision.ops import nms

from napari_sartorius.nn.boxes import clip_boxes, nonempty
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.nn.own_column import own_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_sartorius.inference.device import Precision
    from napari_sartorius.inference.prompt import Window
    from napari_sartorius.nn.detector import Detections
    from napari_sartorius.nn.network import Network

_MOST_KEPT = 8  # features or proposals of windows
_ALIKE = 0.6  # box IoU from which two candidates show the same object
_MIDDLE = 0.3  # of a box's sides: how far from its middle a click may be
_LEAST = 0.01  # score below which a candidate is noise
_STAGES = ("features", "propose", "score_boxes", "predict_masks")


class Candidates(NamedTuple):
    """Objects that may be meant, in pixels of the window, best score first.

    Attributes
    ----------
    boxes
        (N, 4) float32 xyxy, inside the window.
    scores, labels
        (N,) float32, and (N,) int64 0-based categories.
    grids
        (N, m, m) float32: mask probabilities of the category inside each box.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    grids: Tensor

    def of(self, rows: Tensor) -> Candidates:
        """Return the chosen ones."""
        return Candidates(*(column[rows] for column in self))


class Looks:
    """A network whose stages are called for one window, again and again.

    Parameters
    ----------
    network
        In evaluation mode, on `device`.
    device, precision
        Where it is, and in which arithmetic it runs.
    """

    def __init__(self, network: Network, device: str, precision: Precision) -> None:
        self._network: Any = network
        self.device = device
        self._precision = precision
        self._seen: OrderedDict[bytes, Any] = OrderedDict()
        self.has_stages = all(hasattr(network, name) for name in _STAGES)

    def near(self, window: Window, points: Tensor) -> Tensor:
        """Proposed boxes (M, 4) that hold one of the points (P, 2), as (x, y), well inside."""
        with self._arithmetic():
            features = self._features(window)
            boxes: Tensor = self._remember(
                window,
                b"proposals",
                lambda: self._network.propose(features, [window.size])[0].boxes.float(),
            )
            middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
            off = (points[None] - middle[:, None]).abs() / size[:, None].clamp(min=1e-3)
            return boxes[(off < _MIDDLE).all(dim=2).any(dim=1)]

    def at_boxes(
        self, window: Window, boxes: Tensor, moves: int, allowed: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Let the box head look at boxes (N, 4), each time where it saw the object before.

        Returns
        -------
        boxes, scores, labels
            Rows as given: (N, 4) inside the window, (N,) mean probability over all looks, (N,)
            category, one of the `allowed` (K,) bool.
        """
        with self._arithmetic():
            features = self._features(window)
            total: Tensor | None = None
            for _ in range(max(moves, 1)):
                (scored,) = self._network.score_boxes(features, [boxes], [window.size])
                now = scored.probabilities[:, :-1].float()
                total = now if total is None else total + now
                labels = _likeliest(total, allowed)
                if moves:
                    boxes = clip_boxes(own_values(scored.boxes, labels), window.size)
            assert total is not None
            scores = total.gather(1, labels[:, None])[:, 0] / max(moves, 1)
        return boxes.float(), scores, labels

    def drawn(self, window: Window, boxes: Tensor, scores: Tensor, labels: Tensor) -> Candidates:
        """Draw the masks of boxes."""
        with self._arithmetic():
            (maps,) = self._network.predict_masks(self._features(window), [boxes])
            grids = own_values(maps, labels).float()
        return Candidates(boxes, scores, labels, grids)

    def everything(self, window: Window, allowed: Tensor | None) -> Candidates:
        """All that the network finds in the window, however doubtful; for one without stages."""

        def find() -> Any:
            limits = DetectLimits(score=_LEAST, nms=_ALIKE)
            return self._network.detect(self._batch(window), limits, [window.size])[0]

        with self._arithmetic():
            found: Detections = self._remember(window, b"all", find)
        every = Candidates(found.boxes, found.scores, found.labels, found.mask_probs.float())
        if allowed is None:
            return every
        return every.of(torch.nonzero(allowed[found.labels]).flatten())

    def forget(self) -> None:
        """Forget everything that was seen."""
        self._seen.clear()

    def _features(self, window: Window) -> list[Tensor]:
        features: list[Tensor] = self._remember(
            window, b"features", lambda: self._network.features(self._batch(window))
        )
        return features

    def _remember(self, window: Window, what: bytes, make: Callable[[], Any]) -> Any:
        key = what + _digest(window.pixels)
        if key not in self._seen:
            while len(self._seen) >= _MOST_KEPT:
                self._seen.popitem(last=False)
            self._seen[key] = make()
        self._seen.move_to_end(key)
        return self._seen[key]

    def _batch(self, window: Window) -> Tensor:
        """(1, C, H, W) with zeros where the network wants more than the window has."""
        step = int(self._network.size_divisibility)
        height, width = window.size
        batch = torch.zeros((1, -(-height // step) * step, -(-width // step) * step, 1))
        batch = batch.repeat(1, 1, 1, window.pixels.shape[2])
        batch[0, :height, :width] = torch.from_numpy(window.pixels)
        return batch.permute(0, 3, 1, 2).to(self.device)

    def _arithmetic(self) -> _Arithmetic:
        return _Arithmetic(self.device, self._precision)


class _Arithmetic:
    """Without gradients, and in bfloat16 where the network was made for it."""

    def __init__(self, device: str, precision: Precision) -> None:
        self._inference = torch.inference_mode()
        self._cast: Any = nullcontext()
        if precision == "bfloat16":
            self._cast = torch.autocast(torch.device(device).type, torch.bfloat16)

    def __enter__(self) -> None:
        self._inference.__enter__()
        self._cast.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._cast.__exit__(*error)
        self._inference.__exit__(*error)


def joined(parts: list[Candidates]) -> Candidates:
    """All candidates of several lists, in order."""
    return Candidates(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def distinct(boxes: Tensor, scores: Tensor, most: int) -> Tensor:
    """Rows of the best boxes that do not show the same object, at most so many, best first."""
    good = torch.nonzero((scores > _LEAST) & nonempty(boxes) & torch.isfinite(scores)).flatten()
    return good[nms(boxes[good], scores[good], _ALIKE)[:most]]


def _likeliest(probabilities: Tensor, allowed: Tensor | None) -> Tensor:
    if allowed is not None:
        probabilities = probabilities.masked_fill(~allowed, -1.0)
    return probabilities.argmax(dim=1)


def _digest(pixels: NDArray[Any]) -> bytes:
    return hashlib.blake2b(pixels.tobytes(), digest_size=16).digest() + repr(pixels.shape).encode()
