"""Where a network's time goes: its stages are timed while it detects as usual."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from napari_sartorius.nn import dynamic_masks, solov2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What is called of whom, by what the table calls it. A part that calls another one is not charged
# for it: so `features` without the trunk is the pyramid. Families lack some of them.
_METHODS = (
    ("", "features", "pyramid"),
    ("trunk", "forward", "trunk"),
    # With boxes.
    ("", "propose", "proposals"),
    ("", "find_boxes", "boxes"),
    ("", "masks_of", "masks"),
    ("", "_pool", "pooling"),
    ("point_head", "refine", "points"),
    ("semantic", "forward", "semantic"),
    # CenterMask.
    ("fcos", "forward", "FCOS"),
    ("", "_select", "selection"),
    ("", "_draw", "masks"),
    ("mask_iou_head", "forward", "mask IoU"),
    # SOLOv2.
    ("", "grids", "grids"),
    ("mask_feature", "forward", "mask feature"),
)
_FUNCTIONS: tuple[tuple[Any, str, str], ...] = (
    (solov2, "find_objects", "dynamic kernels"),
    (dynamic_masks, "mask_iou", "matrix NMS"),
    (dynamic_masks, "matrix_nms", "matrix NMS"),
    (dynamic_masks, "greedy_keep", "matrix NMS"),
    (dynamic_masks, "_cut_out", "cutting out"),
)


class PartWatch:
    """Seconds spent in each part of a network while it is attached.

    Attributes
    ----------
    seconds
        By part, each without the parts within it; those that a network lacks are absent.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._within: list[str] = []
        self._since = 0.0

    @contextmanager
    def attached(self, ours: Any) -> Iterator[None]:
        """Time what an `ours.Ours` calls within this context."""
        network = ours.network
        wrapped = [(ours, "detect", "input"), (network, "detect", "rest"), *_FUNCTIONS]
        for owner, method, part in _METHODS:
            one = getattr(network, owner, None) if owner else network
            if one is not None and hasattr(one, method):
                wrapped.append((one, method, part))
        before = [(owner, name, vars(owner).get(name)) for owner, name, _ in wrapped]
        for owner, name, part in wrapped:
            setattr(owner, name, self._timed(getattr(owner, name), part))
        try:
            yield
        finally:
            for owner, name, own in before:
                delattr(owner, name) if own is None else setattr(owner, name, own)

    def _timed(self, call: Callable[..., Any], part: str) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            self._switch(part)
            try:
                return call(*args, **kwargs)
            finally:
                self._switch(None)

        return run

    def _switch(self, part: str | None) -> None:
        """Go into a part, or leave the one that was entered last."""
        time_now = now()
        if self._within:
            inner = self._within[-1]
            self.seconds[inner] = self.seconds.get(inner, 0.0) + time_now - self._since
        if part is None:
            self._within.pop()
        else:
            self._within.append(part)
        self._since = time_now

    def shares(self, whole: float, pasting: float) -> dict[str, float]:
        """Part -> share of `whole` seconds, largest first, with what no part claimed last."""
        seconds = self.seconds | {"pasting": pasting}
        named = {part: spent for part, spent in seconds.items() if part != "rest"}
        order = sorted(named, key=lambda part: -named[part])
        shares = {part: named[part] / whole for part in order}
        return shares | {"rest": 1 - sum(shares.values())}


def now() -> float:
    """The clock, once a graphics card has finished what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
