"""Colours of outcomes in the dock and in reports, told apart with every kind of colour vision."""

from __future__ import annotations

from napari_sartorius.evaluation.outcomes import Outcome

OUTCOMES = {
    Outcome.MISSED: "#e0562f",
    Outcome.EXTRA: "#56b4e9",
    Outcome.MERGED: "#d884c0",
    Outcome.SPLIT: "#f0e442",
    Outcome.MATCHED: "#1fae83",
}
