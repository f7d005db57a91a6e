"""Label layers with a table, as the tests of the corrections and of their benchmark use them."""

from __future__ import annotations

import numpy as np
import pandas as pd


def make_layer(viewer, data, **changes):
    """A layer as a run would leave it: half its cells round, half long, with scores."""
    labels = np.unique(data)
    labels = labels[labels > 0].astype(np.int64)
    table = {
        "index": labels,
        "score": np.linspace(0.9, 0.3, len(labels)).astype(np.float32),
        "category": np.array(["round", "long"] * len(labels), object)[: len(labels)],
    }
    return viewer.add_labels(data, features=pd.DataFrame(table | changes), name="plate cells")


def grid(rows=3, columns=4, side=8, gap=4):
    """Square cells in rows, labelled 1, 2, ... line by line."""
    pitch = side + gap
    data = np.zeros((rows * pitch + gap, columns * pitch + gap), np.uint16)
    for n in range(rows * columns):
        y, x = gap + n // columns * pitch, gap + n % columns * pitch
        data[y : y + side, x : x + side] = n + 1
    return data


def plane_of(viewer, layer):
    """What the tab tells a session about the slice that is shown."""
    return tuple(int(at) for at in viewer.dims.current_step[: layer.ndim - 2])
