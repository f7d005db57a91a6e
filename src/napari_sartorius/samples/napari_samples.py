"""What File > Open Sample shows in napari; plain layer data, no napari needed to import it."""

from __future__ import annotations

from typing import Any

from napari_sartorius.samples.phase_contrast import CATEGORIES, phase_contrast_scene
from napari_sartorius.samples.public import human_mitosis as _human_mitosis
from napari_sartorius.samples.public import immunohistochemistry as _immunohistochemistry
from napari_sartorius.samples.public import nuclei_stack as _nuclei_stack

LayerData = tuple[Any, dict[str, Any], str]
"""napari's (data, keyword arguments, layer type)."""


def phase_contrast() -> list[LayerData]:
    """Return the generated scene and its ground truth as a labels layer with features."""
    return _scene("phase contrast (generated)")


def crowded_phase_contrast() -> list[LayerData]:
    """Return a crowded scene with its ground truth: the bundled model makes mistakes in it."""
    return _scene("crowded phase contrast (generated)", seed=3, cells=140)


def _scene(name: str, seed: int = 0, cells: int | None = None) -> list[LayerData]:
    image, truth = phase_contrast_scene(seed=seed, cells=cells)
    features = truth.table(category_names=[category.name for category in CATEGORIES])
    del features["score"]  # nobody found these cells: with scores they would be offered as a result
    return [
        (image, {"name": name, "colormap": "gray"}, "image"),
        (
            truth.masks.to_labels(),
            {"name": "ground truth", "features": features, "visible": False},
            "labels",
        ),
    ]


def immunohistochemistry() -> list[LayerData]:
    """Return a real brightfield micrograph of stained tissue."""
    return [(_immunohistochemistry(), {"name": "immunohistochemistry", "rgb": True}, "image")]


def human_mitosis() -> list[LayerData]:
    """Return fluorescent nuclei of human cells (downloaded once)."""
    return [(_human_mitosis(), {"name": "human mitosis", "colormap": "gray"}, "image")]


def nuclei_stack() -> list[LayerData]:
    """Return a z-stack of fluorescent nuclei with its scale in micrometres (downloaded once)."""
    scale = (0.29, 0.26, 0.26)
    keywords = {"name": "nuclei stack", "colormap": "gray", "scale": scale}
    return [(_nuclei_stack(), keywords | {"units": ("um",) * 3}, "image")]
