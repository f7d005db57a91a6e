"""What is wrong with annotations, as readers name it who are to go on instead of refusing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

FaultKind = Literal[
    "dangling",
    "doubled id",
    "no outline",
    "damaged",
    "other image",
    "outside",
    "unreadable image",
    "unusable labels",
    "unreadable mask",
    "image without labels",
    "labels without image",
]


@dataclass(frozen=True)
class Fault:
    """A record or a file that is wrong.

    Attributes
    ----------
    kind
        Of records. ``dangling``: it points to an image or category that is not there. ``doubled
        id``: another image or category has its id. ``no outline``, ``damaged``: it has no mask
        that can be read. ``other image``: its mask is for an image of another size. ``outside``:
        it leaves its image.
        Of files. ``unreadable image``, ``unusable labels`` (of a whole image), ``unreadable mask``
        (of one object): what their names say. ``image without labels``, ``labels without image``:
        it lacks its counterpart.
    image
        File name, "" where none is known.
    annotation
        Id, or None where the record is none of an annotation.
    text
        What is wrong, without the remedy.
    dropped
        Whether the record is left out; else what is wrong was cut off.
    what
        What `annotation` numbers: an ``annotation``, the ``line`` of a table, or a ``mask`` file.
    image_id
        Of the image it should have been on; None where that is not known.
    record
        ``segmentation`` and ``bbox`` as the file has them, to be drawn; None where there are none.
    """

    kind: FaultKind
    image: str
    annotation: int | str | None
    text: str
    dropped: bool = True
    what: str = "annotation"
    image_id: int | str | None = None
    record: dict[str, Any] | None = field(default=None, compare=False, repr=False)


def cause_of(error: Exception, path: Path) -> str:
    """What a sentence about a file says is wrong, without the file's name and the remedy.

    Parameters
    ----------
    error
        Of the form ``<path> <what is wrong>: <remedy>.``
    path
        The file.
    """
    text = str(error).rstrip(".").removeprefix(str(path)).lstrip(": ")
    for mark in ("; ", ": "):
        cause, found, _ = text.rpartition(mark)
        # Within parentheses is what another library said, which ends nothing.
        if found and cause.count("(") == cause.count(")"):
            return cause
    return text
