"""Which objects a person should look at first, and why, in words.

Everything that speaks against an object is a value from 0 to 1; they are joined like independent
chances of being wrong, so that two weak hints count more than one and none counts twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from napari_sartorius.postprocess.usual import MEASURES, Usual, measure, sorted_kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LARGEST_TABLE = 1 << 24

Table: TypeAlias = Mapping[str, NDArray[Any]]
Ramp: TypeAlias = tuple[float, float]
"""Where doubt begins, and where it is full."""


class DoubtConfig(BaseModel):
    """From which values on an object is doubtful, and how much each of them counts.

    A pair says where doubt begins and where it is full; a weight is the doubt there, 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: float = Field(default=0.2, ge=0.0, le=1.0)
    """Objects with less doubt are not asked about."""
    predicted_iou: Ramp = (0.75, 0.4)
    predicted_iou_weight: float = Field(default=0.9, ge=0.0, le=1.0)
    agreement: Ramp = (0.7, 0.3)
    """Share of models and views that found the object."""
    agreement_weight: float = Field(default=0.8, ge=0.0, le=1.0)
    mask_agreement: Ramp = (0.75, 0.45)
    """Mean IoU between what they drew."""
    mask_agreement_weight: float = Field(default=0.7, ge=0.0, le=1.0)
    score: Ramp = (2.0, 4.0)
    """Spreads below what is usual for the category."""
    score_weight: float = Field(default=0.6, ge=0.0, le=1.0)
    shape: Ramp = (3.0, 6.0)
    """Spreads off what is usual for the category, in area, solidity or axis ratio."""
    shape_weight: float = Field(default=0.6, ge=0.0, le=1.0)
    contact: Ramp = (0.2, 0.6)
    """Share of the outline that lies on other objects."""
    contact_weight: float = Field(default=0.5, ge=0.0, le=1.0)
    fewest: int = Field(default=8, ge=3)
    """A category with fewer objects is judged by those of all categories."""


@dataclass(frozen=True, eq=False)
class Doubts:
    """What was found out about N objects.

    Attributes
    ----------
    labels
        (N,) int64, the column ``index``.
    doubt
        (N,) float32, 0 (certain) to 1.
    parts
        (N,) float32 each, the share of every hint, by its name.
    """

    labels: NDArray[np.int64]
    doubt: NDArray[np.float32]
    parts: dict[str, NDArray[np.float32]]
    _table: Table
    _usual: Usual

    def reasons(self, row: int) -> list[str]:
        """Return what speaks against an object, the weightiest first, in words."""
        found = [(float(part[row]), name) for name, part in self.parts.items() if part[row] > 0]
        found.sort(key=lambda one: -one[0])
        return [_in_words(name, row, self._table, self._usual) for _, name in found]


def judge(table: Table, usual: Usual | None = None, config: DoubtConfig | None = None) -> Doubts:
    """Judge the objects of an image.

    Parameters
    ----------
    table
        Equally long columns. ``index`` (int) is needed; used where they are there: ``category``,
        ``score``, ``predicted_iou``, ``agreement`` or ``votes``, ``mask_agreement`` (see
        `napari_sartorius.ensemble.looks`), ``area``, ``solidity``, ``major_axis``, ``minor_axis``
        (see `region_table`), ``contact`` (see `contact_shares`) and ``at_border`` (bool, such
        objects are not called small). What is not a number is no reason for doubt.
    usual
        What is usual in the categories; by default as these objects are.
    config
        Limits and weights.

    Returns
    -------
    Doubts
        In the order of the table.
    """
    config = config or DoubtConfig()
    usual = usual or Usual.of(table, config.fewest)
    parts: dict[str, NDArray[np.float32]] = {}
    kinds = sorted_kinds(table)

    def add(name: str, values: NDArray[np.float64], ramp: Ramp, weight: float) -> None:
        parts[name] = (weight * _ramp(values, ramp)).astype(np.float32)

    for name in ("predicted_iou", "agreement", "mask_agreement"):
        values = _agreement(table) if name == "agreement" else _numbers(table, name)
        if values is not None:
            add(name, values, getattr(config, name), getattr(config, f"{name}_weight"))
    if "score" in table:
        add("score", -usual.spreads_off(table, "score", kinds), config.score, config.score_weight)
    for name in MEASURES:
        off = usual.spreads_off(table, name, kinds)
        if name == "area" and "at_border" in table:
            off = np.where(np.asarray(table["at_border"], bool) & (off < 0), 0.0, off)
        if name == "solidity":
            off = np.minimum(off, 0.0)  # nobody has to look at a cell because it is round
        add(name, np.abs(off), config.shape, config.shape_weight)
    contact = _numbers(table, "contact")
    if contact is not None:
        add("contact", contact, config.contact, config.contact_weight)

    labels = np.asarray(table["index"]).astype(np.int64)
    certain = np.ones(len(labels), np.float32)
    for part in parts.values():
        certain *= 1.0 - part
    return Doubts(labels, 1.0 - certain, parts, table, usual)


def contact_shares(labels: NDArray[Any], ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each object the share of its outline that lies on other objects.

    Parameters
    ----------
    labels
        (..., Y, X) label image, 0 is background; outlines lie in the planes (Y, X).
    ids
        (N,) labels, ascending; 0.0 for one without pixels.

    Returns
    -------
    (N,) float64
        0..1; the outline is counted in sides of pixels, those at the image's border included.
    """
    sides, shared = np.zeros(len(ids) + 1, np.int64), np.zeros(len(ids) + 1, np.int64)

    place_of = _places(ids, int(labels.max(initial=0)))

    def count(into: NDArray[np.int64], found: NDArray[Any]) -> None:
        into += np.bincount(place_of(found), minlength=len(into))

    for plane in labels.reshape(-1, *labels.shape[-2:]) if len(ids) else ():
        for ends in (plane[0], plane[-1], plane[:, 0], plane[:, -1]):
            count(sides, ends)
        for before, after in _neighbours(plane):
            both = (before > 0) & (after > 0)
            for labelled in (before, after):
                count(sides, labelled)
                count(shared, labelled[both])
    return shared[:-1] / np.maximum(sides[:-1], 1)


def _places(ids: NDArray[np.int64], highest: int) -> Callable[[NDArray[Any]], NDArray[np.int64]]:
    """Find where labels are in `ids`, one past the end for those that are not."""
    highest = max(highest, int(ids.max(initial=0)))
    if highest < _LARGEST_TABLE:
        table = np.full(1 + highest, len(ids))
        table[ids] = np.arange(len(ids))
        return lambda found: table[found]

    def search(found: NDArray[Any]) -> NDArray[np.int64]:
        place = np.searchsorted(ids, found)
        place[ids[np.minimum(place, len(ids) - 1)] != found] = len(ids)
        return place

    return search


def _neighbours(plane: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield the labels on both sides of every side of a pixel where they differ."""
    width, flat = plane.shape[1], plane.reshape(-1)
    at = np.flatnonzero(plane[1:] != plane[:-1])
    yield flat[at], flat[at + width]
    if width > 1:
        at = np.flatnonzero(plane[:, 1:] != plane[:, :-1])
        at += at // (width - 1)
        yield flat[at], flat[at + 1]


def _ramp(values: NDArray[np.float64], ramp: Ramp) -> NDArray[np.float64]:
    """0 where doubt begins, 1 where it is full; nothing known is nothing to doubt."""
    begin, full = ramp
    share = (values - begin) / (full - begin)
    return np.clip(np.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)


def _numbers(table: Table, name: str) -> NDArray[np.float64] | None:
    return np.asarray(table[name], np.float64) if name in table else None


def _agreement(table: Table) -> NDArray[np.float64] | None:
    """The column of that name, or the share of the most votes that any object has."""
    votes = _numbers(table, "votes")
    if "agreement" in table or votes is None:
        return _numbers(table, "agreement")
    most = np.nanmax(votes, initial=0.0)
    return votes / most if most > 0 else None


def _in_words(name: str, row: int, table: Table, usual: Usual) -> str:
    kind = str(table["category"][row]) if "category" in table else ""
    usually = f" for {kind}" if kind else ""
    value = float(table[name][row]) if name in table else 0.0
    if name == "predicted_iou":
        return f"its outline may not fit (predicted IoU {value:.2f})"
    if name == "agreement":
        found = _agreement(table)
        share = float(found[row]) if found is not None else 0.0
        return f"found in {share:.0%} of models and views only"
    if name == "mask_agreement":
        return f"models or views draw it differently (IoU {value:.2f})"
    if name == "score":
        return f"score {value:.2f}, low{usually}"
    if name == "contact":
        return f"touches other cells along {value:.0%} of its outline"
    off = float(usual.spreads_off(table, name)[row])
    if name == "area":
        times = float(np.exp(measure(table, name)[row] - usual.median(table, name)[row]))
        return f"{'large' if off > 0 else 'small'}{usually} ({times:.2g} times the usual area)"
    if name == "solidity":
        return f"branched or bent{usually}"
    return f"{'long' if off > 0 else 'round'}{usually}"
