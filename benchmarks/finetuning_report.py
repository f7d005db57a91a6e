"""Table and pictures of the runs that `finetuning.py` made, for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from finetuning import Domain, Row

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = DOCS / "images" / "finetuning"
TABLE = Path(__file__).parent / "FINETUNING.md"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def write_report(rows: Sequence[Row], domains: Mapping[str, Domain]) -> None:
    """Write ``FINETUNING.md`` beside this file and both pictures below ``docs/``."""
    order = list(domains)
    rows = sorted(
        rows,
        key=lambda r: (order.index(r.domain), not r.replay, r.old_images, r.images, r.budget),
    )
    TABLE.write_text(_table(rows, domains))
    mpl.rcParams["svg.hashsalt"] = "sartorius"  # the same picture is the same file
    mpl.rcParams["font.size"] = 11
    PICTURES.mkdir(parents=True, exist_ok=True)
    _against_minutes(rows, domains)
    _against_images(rows, domains)


def _table(rows: Sequence[Row], domains: Mapping[str, Domain]) -> str:
    lines = [
        "| new cells (start) | images | cells | replay | minutes | new AP50 | gain | old AP50 "
        "| change | of any kind |",
        "|---|--:|--:|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        domain = domains[row.domain]
        lines.append(
            f"| {domain.title} (`{domain.start}`) | {row.images} | {row.cells} "
            f"| {_replay(row)} | {row.minutes:.1f} "
            f"| {row.new[0]:.3f} → {row.new[1]:.3f} | **{row.new[1] - row.new[0]:+.3f}** "
            f"| {row.old[0]:.3f} → {row.old[1]:.3f} | {row.old[1] - row.old[0]:+.3f} "
            f"|{_any_kind(row)} |"
        )
    machines = sorted({row.machine for row in rows})
    return "\n".join([*lines, "", *(f"Measured on: {one}; one thread." for one in machines), ""])


def _replay(row: Row) -> str:
    """What was shown against forgetting."""
    if row.old_images:
        return f"{row.old_images} old images"
    return "on" if row.replay else "off"


def _any_kind(row: Row) -> str:
    """Change of the old AP50 where kinds are not told apart."""
    return "" if row.found is None else f" {row.found[1] - row.found[0]:+.3f}"


def _against_minutes(rows: Sequence[Row], domains: Mapping[str, Domain]) -> None:
    figure, axes = plt.subplots(figsize=(8, 6), layout="constrained")
    for number, row in enumerate(row for row in rows if row.replay and len(row.curve) > 1):
        minutes, scores = zip(*row.curve, strict=True)
        colour = _COLOURS[list(domains).index(row.domain)]
        style = ("-", "--", ":", "-.")[number % 4]
        label = f"{domains[row.domain].title}, {row.images} image{'s' * (row.images > 1)}"
        label += f" and {row.old_images} old ones" if row.old_images else ""
        axes.plot(minutes, scores, style, color=colour, marker="o", ms=4, label=label)
    _finish(axes, "minutes of one processor core")
    _save(figure, "minutes.svg")


def _against_images(rows: Sequence[Row], domains: Mapping[str, Domain]) -> None:
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for number, (name, domain) in enumerate(domains.items()):
        own = [one for one in rows if one.domain == name and one.replay and not one.old_images]
        best = {row.images: row for row in own}  # the longest run of each number
        if not best:
            continue
        counts = [0, *sorted(best)]
        scores = [own[0].new[0], *(best[n].new[1] for n in counts[1:])]
        axes.plot(counts, scores, "o-", color=_COLOURS[number], label=domain.title)
    _finish(axes, "corrected images")
    _save(figure, "images.svg")


def _finish(axes: plt.Axes, below: str) -> None:
    axes.set_xlabel(below)
    axes.set_ylabel("AP50 on new images")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    # Below the lines, which it would hide.
    axes.figure.legend(fontsize=7, loc="outside lower left", ncols=2)


def _save(figure: plt.Figure, name: str) -> None:
    figure.savefig(PICTURES / name, metadata={"Date": None})
    plt.close(figure)
