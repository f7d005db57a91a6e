"""The curves of a report, as SVG that takes the page's own colours for text and lines."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.evaluation.cell_shape import histogram_edges
from napari_sartorius.evaluation.coco_ap import RECALL_LEVELS
from napari_sartorius.evaluation.competition import THRESHOLDS
from napari_sartorius.evaluation.outcome_colours import OUTCOMES
from napari_sartorius.evaluation.outcomes import Outcome
from napari_sartorius.evaluation.report.colours import category_colour

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from napari_sartorius.evaluation.cell_shape import CellShapes
    from napari_sartorius.evaluation.results import EvaluationResult

# Stand for the page's colours while matplotlib draws: it knows no "currentColor".
_TEXT, _LINE = "#010203", "#010204"
_STYLE: dict[Any, Any] = {
    "text.parse_math": False,
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": _TEXT,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}
SHAPES_SHOWN = {
    "area": "area (pixels)",
    "major_axis": "major axis (pixels)",
    "minor_axis": "minor axis (pixels)",
    "axis_ratio": "minor / major axis",
    "solidity": "solidity",
    "extent": "extent",
}


def require_matplotlib() -> None:
    """Say what to install where matplotlib is missing, before anything takes time.

    Raises
    ------
    UserError
        If it is missing.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError(
            "A report with curves needs matplotlib, which is not installed: "
            'run pip install "napari-sartorius[all]".'
        ) from error


def precision_over_iou(result: EvaluationResult) -> str:
    """Draw precision at each IoU threshold: the mean over images, and of each category's."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for i, category in enumerate(result.categories):
            own = [
                im.competition.precisions for im in result.images if im.category == category.name
            ]
            if own and len(result.categories) > 1:
                axes.plot(
                    THRESHOLDS, np.mean(own, axis=0), color=category_colour(i), label=category.name
                )
        axes.plot(THRESHOLDS, result.precisions, color=_TEXT, label="all images", marker=".")
        axes.set(
            xlabel="IoU threshold", ylabel="TP / (TP + FP + FN)", ylim=(0, 1), xlim=(0.5, 0.95)
        )
        axes.legend()

    return _svg("precision", draw)


def precision_recall(result: EvaluationResult) -> str:
    """Draw precision over recall at an IoU of 0.5 and 0.75."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        precision = result.average_precision
        for row, name, value, colour in (
            (0, "IoU 0.50", precision.ap50, category_colour(0)),
            (5, "IoU 0.75", precision.ap75, category_colour(1)),
        ):
            label = f"{name}: AP {value:.3f}"
            axes.plot(RECALL_LEVELS, precision.curve[row], color=colour, label=label)
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
        axes.legend(loc="best")

    return _svg("recall", draw)


def reliability(result: EvaluationResult) -> str:
    """Draw the share of right objects over their score, and how many have which score."""

    def draw(figure: Figure) -> None:
        table = result.calibration
        top, bottom = figure.subplots(2, sharex=True, height_ratios=(3, 1))
        middle, width = (table.edges[1:] + table.edges[:-1]) / 2, np.diff(table.edges) * 0.92
        some = table.counts > 0
        top.bar(
            middle[some], table.precisions[some], width[some], color=category_colour(0), alpha=0.45
        )
        top.plot([0, 1], [0, 1], color=_TEXT, linewidth=1, linestyle=":", label="as promised")
        top.plot(
            table.mean_scores[some],
            table.precisions[some],
            color=category_colour(0),
            marker="o",
            label="found right",
        )
        top.set(ylabel="share that is right", ylim=(0, 1.02), xlim=(0, 1))
        top.legend(loc="best")
        bottom.bar(middle, table.counts, width, color=category_colour(0))
        bottom.set(xlabel="score", ylabel="objects")

    return _svg("reliability", draw)


def counts(result: EvaluationResult) -> str:
    """Draw found over true counts of all images."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        numbers = [n for im in result.images for n in (im.true_count, im.predicted_count)]
        lowest, highest = 0.0, max(numbers) * 1.05 + 1
        axes.plot([0, highest], [0, highest], color=_TEXT, linewidth=1, linestyle=":")
        names = [category.name for category in result.categories]
        for i, name in enumerate([*names, None]):
            own = [im for im in result.images if im.category == name]
            if own:
                axes.scatter(
                    [im.true_count for im in own],
                    [im.predicted_count for im in own],
                    s=22,
                    color=category_colour(i) if name else _LINE,
                    alpha=0.75,
                    linewidths=0,
                    label=name or "no true object",
                )
        # Both logarithmic where a few crowded images would push all others into a corner.
        if highest > 150:
            ticks = [0, *(step * 10**k for k in range(1, 8) for step in (1, 2, 5))]
            for scale, place in (
                (axes.set_xscale, axes.set_xticks),
                (axes.set_yscale, axes.set_yticks),
            ):
                scale("symlog", linthresh=10)
                place(ticks, [f"{tick:,}" for tick in ticks])
                place([], minor=True)
            lowest = min(numbers) * 0.8 if min(numbers) > 12 else 0.0
        axes.set(
            xlabel="true objects",
            ylabel="found objects",
            xlim=(lowest, highest),
            ylim=(lowest, highest),
        )
        axes.legend(loc="upper left")

    return _svg("counts", draw)


def outcome_bars(result: EvaluationResult) -> str:
    """Draw what became of the objects: shares of the true ones, and the found ones too many."""
    names = [category.name for category in result.categories]
    groups = [("all", result.images)]
    if len(names) > 1:
        groups += [(name, [im for im in result.images if im.category == name]) for name in names]
    groups = [(name, images) for name, images in groups if images]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for row, (_, images) in enumerate(groups):
            tables = [image.outcomes for image in images]
            true = [t.truth.count for t in tables]
            whole = max(sum(t.counts.truths for t in tables), 1)
            left = 0.0
            for outcome in (Outcome.MATCHED, Outcome.MISSED, Outcome.MERGED, Outcome.SPLIT):
                share = sum(count(outcome) for count in true) / whole
                axes.barh(row, share, left=left, height=0.6, color=OUTCOMES[outcome])
                left += share
            extra = sum(t.predicted.count(Outcome.EXTRA) for t in tables) / whole
            axes.barh(row, extra, left=1.04, height=0.6, color=OUTCOMES[Outcome.EXTRA])
            axes.text(1.05 + extra, row, f"{extra:.0%}", va="center")
        axes.axvline(1.02, color=_TEXT, linewidth=1)
        axes.set_yticks(range(len(groups)), [name for name, _ in groups])
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.grid(visible=False, axis="y")
        axes.invert_yaxis()
        axes.set(xlabel="of the true objects; to the right of the line: found objects too many")

    return _svg("outcomes", draw, size=(10.5, 0.7 + 0.38 * len(groups)))


def shape_histograms(sides: Sequence[CellShapes], category: int) -> str:
    """Draw the shapes of one category's true cells, and of the found ones over them."""
    fewest = min(len(side.of("area", category)) for side in sides)
    bins = int(np.clip(2 * np.sqrt(fewest), 10, 40))

    def draw(figure: Figure) -> None:
        for place, (feature, label) in enumerate(SHAPES_SHOWN.items(), start=1):
            axes = figure.add_subplot(2, 3, place)
            values = [side.of(feature, category) for side in sides]
            edges = histogram_edges(values, bins)
            for own, name in zip(values, ("true", "found"), strict=False):
                _histogram(axes, own, edges, name, filled=name == "true")
            axes.set(xlabel=label, yticks=[], ylim=(0, None))
            axes.grid(visible=False)
            axes.spines["left"].set_visible(False)
            if place == 1 and len(sides) > 1:
                axes.legend()

    return _svg(f"shapes{category}", draw, size=(10.5, 4.4))


def _histogram(axes: Axes, values: Any, edges: Any, label: str, *, filled: bool) -> None:
    heights, _ = np.histogram(values, edges)
    share = heights / max(len(values), 1)
    text = f"{label} ({len(values):,})"
    if filled:
        axes.stairs(share, edges, fill=True, color=_TEXT, alpha=0.25, label=text)
    else:
        axes.stairs(share, edges, color=category_colour(0), linewidth=1.6, label=text)


def _svg(name: str, draw: Callable[[Figure], None], size: tuple[float, float] = (4.7, 3.5)) -> str:
    """Return an SVG element; the name keeps its inner references apart from other figures'."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # Its size is the page's business; the view box keeps the proportions.
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1 role="img"', text, count=1)
    # Names of groups repeat from figure to figure and nothing refers to them.
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    return text.replace(_TEXT, "currentColor").replace(_LINE, "var(--line)")
