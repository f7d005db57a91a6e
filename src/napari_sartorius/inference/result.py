"""What a segmentation gives back: the objects and how they were found."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.instances import Instances
from napari_sartorius.inference.config import SegmentConfig

if TYPE_CHECKING:
    from collections.abc import Iterator


ALL_TYPES = "all"
"""The cell type of an image of which objects of every category were kept."""

STAGES = ("prepare", "network", "paste", "seams", "filter")


@dataclass(frozen=True)
class PassRun:
    """One walk over an image that was made.

    Attributes
    ----------
    members
        Names of the models that looked.
    views
        How each looked.
    fusion
        The strategy by which several models' finds became one; empty for one model.
    cell_types
        Of which images the walk gives the objects; None for all.
    """

    members: tuple[str, ...]
    views: tuple[str, ...]
    fusion: str = ""
    cell_types: tuple[str, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, for provenance."""
        said: dict[str, Any] = {"members": list(self.members), "views": list(self.views)}
        if self.fusion:
            said["fusion"] = self.fusion
        if self.cell_types is not None:
            said["cell_types"] = list(self.cell_types)
        return said


@dataclass(frozen=True, eq=False)
class SegmentResult:
    """The objects of one image and how they were found.

    Attributes
    ----------
    instances
        Objects that share no pixel, best score first, in pixels of the image. With several
        views the column ``agreement`` holds the share of views that found each. Networks add
        columns of their own, CenterMask ``box_score`` and ``mask_score``.
    categories
        Names by category index.
    cell_type
        The category that was kept, or ``all``.
    device
        Where the network ran in the end.
    timings
        Seconds per stage: prepare, network, paste, seams, filter; load when the network had to be
        loaded first; of ensembles also classify, fuse and rescore.
    notices
        What the user must be told: caps hit, fallbacks, limited scale.
    config
        How it was asked for.
    precision
        Arithmetic of the network.
    tiles
        Number of tiles.
    scale
        Network pixels per image pixel.
    passes
        The walks that were made, in their order. The objects come from the last one; one before
        it has decided the cell type.
    type_by
        What decided the cell type: ``user``, ``classifier``, ``majority``, ``proposal_counts``,
        ``fixed``, or empty where none was decided.
    """

    instances: Instances
    categories: list[str]
    cell_type: str
    device: str
    timings: dict[str, float]
    notices: list[str]
    config: SegmentConfig
    precision: str = "float32"
    tiles: int = 1
    scale: float = 1.0
    passes: tuple[PassRun, ...] = ()
    type_by: str = ""


@dataclass
class Stopwatch:
    """Seconds spent per stage."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time inside the block to `stage`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent
