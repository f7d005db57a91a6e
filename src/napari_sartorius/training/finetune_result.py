"""What comes out of a fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from napari_sartorius.zoo import ModelBundle


@dataclass(frozen=True)
class FineTuned:
    """A finished fine-tuning.

    Attributes
    ----------
    bundle
        The model; ``bundle.card.learnt_from`` says what was done.
    before, after
        Score on what was kept apart, 0..1, of the start and of the result; `before` is None when
        the start finds other categories and could not be measured.
    scores
        The score of the result by category index, for those that could be measured.
    steps, stopped_early
        How long it took.
    """

    bundle: ModelBundle
    before: float | None
    after: float
    scores: Mapping[int, float]
    steps: int
    stopped_early: bool

    @property
    def improved(self) -> bool:
        """Whether the result is better than the start."""
        return self.before is None or self.after > self.before
