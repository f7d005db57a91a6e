"""Puts label layers into the viewer: the result of a run, and a copy of what a filter shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sartorius.ui.layer_writer import METADATA_KEY, to_layer
from napari_sartorius.ui.segment_request import shown_copy

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_sartorius.ui.layer_writer import ComposedLabels
    from napari_sartorius.ui.result_panel import ResultPanel
    from napari_sartorius.ui.result_view import ResultView
    from napari_sartorius.ui.segment_request import SegmentRequest
    from napari_sartorius.ui.spare_layer import SpareLayer

_COPIED = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


def add_result(
    viewer: ViewerModel,
    panel: ResultPanel,
    spare: SpareLayer,
    request: SegmentRequest,
    composed: ComposedLabels,
) -> Labels:
    """Add what a run found, select it in the panel, and return the new layer.

    An earlier result of the same image is hidden: two on top of each other cannot be read.
    """
    from napari_sartorius.ui.result_view import provenance

    earlier = panel.layers.layer
    if earlier is not None and provenance(earlier).get("image") == request.layer.name:
        earlier.visible = False
    layer = spare.add(composed, request.layer, request.choice)
    if layer is None:
        layer = to_layer(composed, request.layer, request.choice)
        viewer.add_layer(layer)
    panel.show_layer(layer)
    return layer


def add_shown_copy(viewer: ViewerModel, view: ResultView) -> Labels:
    """Add a copy of a result without its hidden objects, and return the new layer."""
    import pandas as pd

    source = view.layer
    features = {name: source.features[name].to_numpy() for name in source.features}
    labels, table = shown_copy(np.asarray(source.data), features, view.hidden())
    copy = viewer.add_labels(
        labels,
        name=f"{source.name} shown",
        features=pd.DataFrame(table),
        metadata={METADATA_KEY: dict(source.metadata.get(METADATA_KEY, {}))},
        opacity=source.opacity,
        **{name: getattr(source, name) for name in _COPIED if hasattr(source, name)},
    )
    copy.contour = source.contour  # the opacity of outlines would make filled cells hide the image
    return copy
