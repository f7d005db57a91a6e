"""What the doctor says: findings, and all of them as a report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from napari_sartorius.core.wording import plural
from napari_sartorius.io.coco_dataset import ImageId
from napari_sartorius.training.doctor.remedies import REMEDIES

if TYPE_CHECKING:
    from collections.abc import Sequence


Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, of one image or of the whole.

    Attributes
    ----------
    kind
        A key of `REMEDIES`, such as ``hollow``.
    severity
        ``error``: no training with it. ``warning``: the model will suffer. ``note``: worth knowing.
    text
        What is wrong, without the remedy.
    image
        File name of the image; None when it is about the whole.
    image_id
        Its id in the dataset, None where it is in none.
    annotations
        Ids of the annotations concerned, as the file numbers them.
    objects
        Their positions among the objects of the image.
    badness
        The larger, the worse; comparable within a kind.
    record
        ``segmentation`` and ``bbox`` of the file, to be drawn where no object shows what is meant.
    beside
        Id of another image that it is about, to be shown beside the first.
    """

    kind: str
    severity: Severity
    text: str
    image: str | None = None
    image_id: ImageId | None = None
    annotations: tuple[int | str, ...] = ()
    objects: tuple[int, ...] = ()
    badness: float = 0.0
    record: dict[str, Any] | None = field(default=None, compare=False, repr=False)
    beside: ImageId | None = None

    @property
    def sentence(self) -> str:
        """What is wrong, and what to do about it."""
        where = f"{self.image}: " if self.image is not None else ""
        return f"{where}{self.text}; {REMEDIES[self.kind]}."

    def as_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "image": self.image,
            "annotations": list(self.annotations),
            "sentence": self.sentence,
        }


@dataclass
class DataReport:
    """All findings about a dataset.

    Attributes
    ----------
    findings
        Errors first, the worst of a kind first.
    images, objects
        How many were looked at.
    """

    findings: list[Finding] = field(default_factory=list)
    images: int = 0
    objects: int = 0

    def __post_init__(self) -> None:
        order = {kind: n for n, kind in enumerate(REMEDIES)}
        self.findings.sort(
            key=lambda one: (SEVERITIES.index(one.severity), order[one.kind], -one.badness)
        )

    def of(self, severity: Severity) -> list[Finding]:
        """Those of one severity."""
        return [one for one in self.findings if one.severity == severity]

    @property
    def has_errors(self) -> bool:
        """Whether a training would be refused."""
        return bool(self.of("error"))

    def kinds(self) -> dict[str, list[Finding]]:
        """Findings by kind, in the order in which they are told."""
        found: dict[str, list[Finding]] = {}
        for one in self.findings:
            found.setdefault(one.kind, []).append(one)
        return found

    def lines(self, shown: int = 3) -> list[str]:
        """For people: a line per kind and its worst cases, then the verdict."""
        lines = []
        for kind, found in self.kinds().items():
            lines += summary(kind, found, shown)
        counts = Counter(one.severity for one in self.findings)
        named = [plural(counts[s], s) for s in SEVERITIES if counts[s]]
        known = f"{plural(self.images, 'image')} with {plural(self.objects, 'object')}"
        lines.append(f"{known}: {', '.join(named) or 'all well'}")
        return lines

    def as_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "images": self.images,
            "objects": self.objects,
            "errors": len(self.of("error")),
            "warnings": len(self.of("warning")),
            "findings": [one.as_json() for one in self.findings],
        }


def summary(kind: str, found: Sequence[Finding], shown: int) -> list[str]:
    """A single finding in full; several as one sentence with the worst ones below it."""
    severity = found[0].severity
    if len(found) == 1:
        return [f"{severity}: {found[0].sentence}"]
    return [f"{severity}: {together(kind, found)}"] + [
        f"  {one.image or 'the file'}: {one.text}" for one in found[:shown]
    ]


def together(kind: str, found: Sequence[Finding]) -> str:
    """One sentence about several findings of a kind."""
    if len(found) == 1:
        return found[0].sentence
    images = {one.image for one in found if one.image is not None}
    count = sum(len(one.annotations) for one in found)
    what = (
        f"{kind}: {plural(count, 'annotation')} in {plural(len(images), 'image')}" if count else ""
    )
    what = what or f"{kind}: {plural(len(found), 'case')}, the worst {found[0].image or 'one'}"
    return f"{what}; {REMEDIES[kind]}."
