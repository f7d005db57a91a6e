"""Names of the second level's features, as the 7th place of the Sartorius challenge gave them."""

from __future__ import annotations

RADII = (25, 50, 75, 100, 150, 200)
"""Pixels around an object in which neighbours are looked at."""
NEAREST = (2, 3, 5, 7)
"""Numbers of nearest objects, the object itself counted, that are looked at."""

OBJECT = (
    "box_score",
    "mask_area",
    "box_area",
    "box_x1",
    "box_y1",
    "box_x2",
    "box_y2",
    "width",
    "height",
    "instance_count",
)
OVERLAP = (
    "neighbor_iou_max",
    "neighbor_iou_min",
    "neighbor_iou_mean",
    "neighbor_iou_std",
    "neighbor_overlap_count",
)
RATIO = ("aspect_ratio", "extent")
CONTOUR = (
    "centroid_x",
    "centroid_y",
    "num_contours",
    "equi_diameter",
    "hull_area",
    "solidity",
    "is_convex",
    "perimeter",
    "rotation_ang",
    "major_axis_length",
    "minor_axis_length",
)
_STATISTICS = ("min", "max", "median", "mean", "q1", "q3", "std")
PIXEL_SCORE = tuple(f"{name}_pixel_score" for name in _STATISTICS)
INTENSITY = tuple(f"im_{name}_pixel" for name in _STATISTICS)

_NEIGHBOUR = tuple(
    f"{statistic}_{what}"
    for what in ("dist", "area", "box_score")
    for statistic in ("median", "mean", "std")
)


def radius_names(radius: int) -> tuple[str, ...]:
    """Features of the neighbours within `radius`: their number, then nine statistics."""
    prefix = f"kdtree_nb_r{radius}_"
    return tuple(prefix + name for name in ("count", *_NEIGHBOUR))


def nearest_names(count: int) -> tuple[str, ...]:
    """Nine statistics of the `count` - 1 nearest neighbours."""
    return tuple(f"kdtree_nb_top{count}_{name}" for name in _NEIGHBOUR)


CANDIDATES: tuple[str, ...] = (
    *OBJECT,
    *OVERLAP,
    *RATIO,
    *CONTOUR,
    *PIXEL_SCORE,
    *INTENSITY,
    *(name for radius in RADII for name in radius_names(radius)),
    *(name for count in NEAREST for name in nearest_names(count)),
    "cell_type",
)
"""The 139 published candidates, in their order."""

AGREEMENT = ("members", "votes", "agreement", "score_spread", "mask_agreement")
"""What several looks at an object say, taken over where an object has it."""
