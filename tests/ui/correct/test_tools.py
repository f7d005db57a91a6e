"""The table of tools."""

from __future__ import annotations

from collections import Counter

from napari_sartorius.ui.correct.tools import TOOLS


def test_no_two_tools_have_the_same_key_or_name() -> None:
    for what in ("key", "name"):
        counts = Counter(getattr(tool, what) for tool in TOOLS)
        assert [one for one, count in counts.items() if count > 1] == []
