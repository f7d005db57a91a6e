"""Figures of a second level, light enough for the window's process to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.wording import plural

if TYPE_CHECKING:
    from napari_sartorius.postprocess.second_level.rescoring import Rank

FALSE_BELOW = 0.5
"""An object of less IoU with the truth is a false one."""


@dataclass(frozen=True)
class RescoreFigures:
    """Figures of predictions for images that were not learnt from.

    Attributes
    ----------
    images, objects
        How many.
    mae, r2
        Mean absolute error of the predicted IoU, and the share of its variance that is explained.
    mae_of_mean
        Mean absolute error of always predicting the mean: what there was to gain.
    dropped, dropped_false
        Objects of which less is expected than the limit, and how many of these are false.
    false
        All false objects.
    before
        Competition score by category name, and of all images under ``all``, without second level.
    after
        The same by what becomes the score (`Rank`).
    """

    images: int
    objects: int
    mae: float
    r2: float
    mae_of_mean: float
    dropped: int
    dropped_false: int
    false: int
    before: dict[str, float]
    after: dict[str, dict[str, float]]

    @property
    def drop_precision(self) -> float:
        """Share of the dropped objects that are false; not-a-number when none is dropped."""
        return self.dropped_false / self.dropped if self.dropped else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Plain types for JSON; not-a-number becomes None."""
        plain = dict(vars(self))
        plain["drop_precision"] = None if not self.dropped else self.drop_precision
        return plain

    def to_text(self, rank: Rank) -> str:
        """Sentences and a table for the terminal; the column of `rank` is marked."""
        lines = [
            f"{plural(self.objects, 'object')} in {plural(self.images, 'image')}, each predicted "
            "by a second level that did not learn from it:",
            f"predicted IoU: mean absolute error {self.mae:.3f} (always the mean: "
            f"{self.mae_of_mean:.3f}), R2 {self.r2:.3f}",
            f"dropped: {plural(self.dropped, 'object')}, {self.dropped_false} of them false (IoU "
            f"below {FALSE_BELOW}); {plural(self.false, 'false one')} in all",
            "",
        ]
        width = max(len(name) for name in [*self.before, "competition mAP"])
        head = [f"{'*' if name == rank else ''}{name}" for name in self.after]
        lines.append(
            f"{'competition mAP':<{width}} {'before':>8} " + " ".join(f"{h:>14}" for h in head)
        )
        for name, before in self.before.items():
            cells = " ".join(f"{after[name]:>14.4f}" for after in self.after.values())
            lines.append(f"{name:<{width}} {before:>8.4f} {cells}")
        lines.append("Columns: what becomes the score; * is what the model will do.")
        return "\n".join(lines)
