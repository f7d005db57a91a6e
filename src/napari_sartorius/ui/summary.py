"""Sentences about a result: how many cells, how much of the image, how long it took."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.wording import plural
from napari_sartorius.ui.result_view import provenance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Labels

    from napari_sartorius.ui.layer_writer import ComposedLabels

_SHOWN_STAGES = 4


def percent(part: float) -> str:
    """Return a part of one in percent, with a digit after the point when it is small."""
    digits = 1 if part < 0.0995 else 0
    return f"{100.0 * part:.{digits}f}\N{NO-BREAK SPACE}%"


def filter_text(shown: int, total: int, confluence: float | None) -> str:
    """Return what the filter leaves, such as ``280 of 312 cells shown · confluence 37 %``."""
    text = (
        plural(total, "cell") if shown == total else f"{shown:,} of {plural(total, 'cell')} shown"
    )
    return text if confluence is None else f"{text} · confluence {percent(confluence)}"


def timings_text(timings: Mapping[str, float]) -> str:
    """Return the whole time and its largest stages, such as ``2.4 s (network 2.1 s, masks 0.2 s)``.

    An entry named ``total`` is taken for the sum when there is one.
    """
    stages = {name: seconds for name, seconds in timings.items() if name != "total"}
    total = timings.get("total", sum(stages.values()))
    largest = sorted(stages.items(), key=lambda one: -one[1])[:_SHOWN_STAGES]
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in largest if seconds >= 0.05)
    return f"{total:.1f} s" + (f" ({parts})" if parts else "")


def finished_text(composed: ComposedLabels) -> str:
    """Return the status line for a result that was just added."""
    names: Any = composed.features.get("category", ())
    counts = Counter(str(name) for name in names)
    if not composed.count:
        return (
            "No cell was found: try another model, give the cell diameter under Advanced, or look "
            "at what the network sees."
        )
    text = plural(composed.count, "cell")
    if len(counts) > 1:
        text += ": " + ", ".join(f"{count:,} {name}" for name, count in counts.most_common())
    elif counts:
        text += f" ({next(iter(counts))})"
    area, pixels = composed.features.get("area"), composed.metadata.get("pixels")
    if area is not None and pixels:
        text += f" · confluence {percent(min(float(area.sum()) / pixels, 1.0))}"
    text += f" · {timings_text(composed.metadata.get('timings', {}))}"
    return f"{text} on {str(composed.metadata.get('device', '?')).upper()}"


def provenance_text(layer: Labels) -> str:
    """Return one line on how a layer was made; empty for a layer from elsewhere."""
    facts = provenance(layer)
    if "model" not in facts:
        return ""
    preset = str(facts.get("config", {}).get("preset", "")).capitalize()
    return f"{facts['model']}, {preset}, on '{facts.get('image', '?')}'"
