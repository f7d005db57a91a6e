"""How a run's pictures are called and coloured: who draws them and who shows them agree here."""

from __future__ import annotations

Colour = tuple[int, int, int]

TRUTH: Colour = (86, 180, 233)
"""Blue of Okabe and Ito."""

FOUND: Colour = (230, 159, 0)
"""Their orange, which everybody can tell from the blue."""

BEFORE, NOW, BEST = "before", "now", "best"
"""What ends the pictures' names."""
