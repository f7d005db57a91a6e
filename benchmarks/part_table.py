"""The table of the parts of every family of networks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from families import FAMILIES, wake
from ours import Ours, as_batch, picture
from parts import PartWatch
from report import Row, keep

from napari_sartorius.inference.device import choose_precision
from napari_sartorius.nn.build import build_network

if TYPE_CHECKING:
    from families import Family
    from ours import Precision

# A share of a part is steady: its whole table need not take longer than a few minutes.
_ROUNDS = 2


def keep_parts() -> None:
    """Measure all families and write the table."""
    precision: Precision = choose_precision("auto", "cpu")
    keep(
        "network_parts",
        "Where a network's time goes",
        f"A 704 x 520 field on two threads, best of {_ROUNDS} runs after one that does not count, "
        "random weights, the arithmetic that `auto` takes. A part's share is without the parts "
        "that it calls: boxes, masks and mask IoU without the pooling of their features. The "
        "ratio is the share of the largest part.",
        [_row(family, precision) for family in FAMILIES],
    )


def _row(family: Family, precision: Precision) -> Row:
    """Shares of the parts of one family."""
    torch.manual_seed(0)
    architecture = family.tree()
    network = build_network(architecture).eval()
    images = [picture(architecture.trunk.in_channels)]
    wake(network, as_batch(images, family.edge, network.size_divisibility, "cpu")[0])
    ours = Ours(architecture, network.state_dict(), precision, "cpu")
    del network
    best: tuple[float, dict[str, float], int] | None = None
    for turn in range(_ROUNDS + 1):
        watch, start = PartWatch(), time.perf_counter()
        with watch.attached(ours):
            found = ours.find(images, family.edge)
        whole = time.perf_counter() - start
        if turn and (best is None or whole < best[0]):
            best = whole, watch.shares(whole, ours.pasting), len(found[0][0].boxes)
    assert best is not None
    whole, shares, count = best
    text = ", ".join(f"{part} {share:.0%}" for part, share in shares.items())
    return Row(
        f"{family.name}, short edge {family.edge} px, {count} objects, {precision}",
        f"{whole * 1e3:.0f} ms",
        text,
        max(shares.values()),
    )
