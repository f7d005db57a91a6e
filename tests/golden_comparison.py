"""What a network says, and which of its boxes are the reference's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.nn.detector import Detections


class Listener:
    """A network whose answers are kept for comparison."""

    def __init__(self, network: Any) -> None:
        self.network, self.size_divisibility = network, network.size_divisibility
        self.heard: list[Detections] = []

    def detect(self, *arguments: Any) -> list[Detections]:
        answer = self.network.detect(*arguments)
        self.heard += answer
        return answer  # type: ignore[no-any-return]


def matched_boxes(
    boxes: NDArray[np.float32],
    labels: NDArray[np.int64],
    true_boxes: NDArray[np.float32],
    true_labels: NDArray[np.int64],
    share: float = 0.99,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (ours, theirs) of one class whose boxes overlap by more than 99 %; ties swap places.

    Fails unless that is so for at least this share of both sides, each box once.
    """
    pairs = []
    for i, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        overlap = np.where(true_labels == label, _overlap(box, true_boxes), 0)
        best = int(overlap.argmax())
        if overlap[best] > 0.99:
            pairs.append((i, best))
    assert len(pairs) >= share * max(len(boxes), len(true_boxes))
    assert len({theirs for _, theirs in pairs}) == len(pairs)
    ours, theirs = (np.array(side) for side in zip(*pairs, strict=True))
    return ours, theirs


def _overlap(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """IoU (N,) of one xyxy box with others."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    return np.asarray(shared / np.maximum(areas - shared, 1e-9))
