"""What tuning has brought, light enough for the window's process to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_sartorius.core.wording import plural


@dataclass(frozen=True)
class TuningFigures:
    """Figures of images that were not tuned on, and what was chosen in the end.

    Attributes
    ----------
    images
        How many, by category name, and under ``all``.
    folds
        Parts of the images; each was segmented with values tuned on the others.
    before, after
        Competition score by category name, and of all images under ``all``: with the model's own
        values, and with values that were tuned on other images.
    tuned
        The same for the final values and the images that these were tuned on: too good to be
        expected of new images.
    old, new
        Values by category name, and by name within.
    kept
        Categories that keep their values, because tuned ones were no better.
    trials
        Combinations that were scored.
    trial_seconds
        Mean time of a trial for all images that it looked at.
    looks
        How often a network looked at a window; 0 when all was known from earlier.
    cache, cache_bytes
        Where it is kept what networks found, and how large that is.
    """

    images: dict[str, int]
    folds: int
    before: dict[str, float]
    after: dict[str, float]
    tuned: dict[str, float]
    old: dict[str, dict[str, float]]
    new: dict[str, dict[str, float]]
    kept: list[str]
    trials: int
    trial_seconds: float
    looks: int
    cache: str
    cache_bytes: int

    @property
    def is_changed(self) -> bool:
        """Whether any value is another one now."""
        return self.old != self.new

    @property
    def expected(self) -> float:
        """Score of all images, those of kept categories as before and the others as tuned."""
        names = [name for name in self.before if name != "all"]
        sums = [
            self.images[name] * (self.before if name in self.kept else self.after)[name]
            for name in names
        ]
        return sum(sums) / self.images["all"]

    def to_dict(self) -> dict[str, Any]:
        """Plain types for JSON."""
        return dict(vars(self))

    def to_text(self) -> str:
        """A table and sentences for the terminal."""
        width = max(len(name) for name in [*self.before, "competition mAP"])
        lines = [
            f"{'competition mAP':<{width}} {'images':>7} {'before':>8} {'tuned':>8} {'change':>8}"
            f"   {'same images':>11}"
        ]
        for name, before in self.before.items():
            after = self.after[name]
            lines.append(
                f"{name:<{width}} {self.images[name]:>7} {before:>8.4f} {after:>8.4f} "
                f"{after - before:>+8.4f}   {self.tuned[name]:>11.4f}"
            )
        lines += [
            f"tuned: images of each of {self.folds} folds with values tuned on the other folds.",
            "same images: the final values on the images they were tuned on; expect less.",
            "",
            *self._values(),
            "",
            f"{plural(self.trials, 'trial')} of {1000 * self.trial_seconds:.1f} ms; "
            f"{plural(self.looks, 'look')} of networks; what they found is kept in {self.cache} "
            f"({self.cache_bytes / 1e6:.0f} MB, can be deleted)",
        ]
        if self.kept:
            lines.append(
                f"Kept as it was, because on images not tuned on it was no better: "
                f"{', '.join(self.kept)}."
            )
        return "\n".join(lines)

    def _values(self) -> list[str]:
        lines = []
        for name, values in self.new.items():
            told = []
            for key, value in values.items():
                old = self.old[name][key]
                told.append(f"{key} {value:g}" + (f" (was {old:g})" if old != value else ""))
            lines.append(f"{name}: {', '.join(told)}")
        return lines
