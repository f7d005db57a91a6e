"""What figures of a card are called where people read them."""

from __future__ import annotations

WORDING = {
    "tuning_score_before": "competition mAP, thresholds not tuned",
    "tuning_score_after": "competition mAP, thresholds tuned on other images",
    "rescorer_mae": "mean error of the second level's IoU",
    "rescorer_score_before": "competition mAP, without the second level",
    "rescorer_score_after": "competition mAP, second level taught on other images",
}
"""By the names that the program gives them; others are words already."""


def wording(name: str) -> str:
    """Return what readers are told a figure is."""
    return WORDING.get(name, name)
