"""What the dock says can be read in napari's themes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from napari_sartorius.ui.style import style_sheet


def _luminance(colour: str) -> float:
    """As the Web Content Accessibility Guidelines define it, 0..1."""
    channels = np.array([int(one) for one in re.findall(r"\d+", colour)[:3]]) / 255
    linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _colour(sheet: str, what: str, key: str = "color") -> str:
    found = re.search(rf"{re.escape(what)} {{[^}}]*\b{key}: (rgb\([^)]*\))", sheet)
    assert found is not None, what
    return found[1]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("role", ["muted", "warning", "error"])
def test_messages_stand_out_from_the_background(theme: str, role: str) -> None:
    sheet = style_sheet(theme)
    behind = _luminance(_colour(sheet, "QTableView", "background"))
    text = _luminance(_colour(sheet, f'QLabel[role="{role}"]'))
    high, low = max(behind, text), min(behind, text)
    assert (high + 0.05) / (low + 0.05) > 4.5
