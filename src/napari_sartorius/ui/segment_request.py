"""One press on Run, frozen: what to segment, how, and whose result it will be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.io.image_data import image_from_array
from napari_sartorius.ui import image_source
from napari_sartorius.ui.image_source import PlaneChoice
from napari_sartorius.ui.layer_writer import ComposedLabels, compose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_sartorius.engine.jobs import PlaneResult, SegmentJob

_LEADING_AXES = "TZPQRUVW"  # C and S mean channels and colours to the reader of axes


@dataclass(frozen=True, eq=False)
class SegmentRequest:
    """What the user asked for when Run was pressed; later clicks do not change it.

    Parameters
    ----------
    layer : Image
        The image layer.
    choice : PlaneChoice
        Its planes to segment.
    config : SegmentConfig
        How.
    model_title : str
        Title of the model, for the record.
    categories : list of (name, colour)
        The model's categories in their order, colours ``'#rrggbb'``.
    """

    layer: Image
    choice: PlaneChoice
    config: SegmentConfig
    model_title: str
    categories: tuple[tuple[str, str], ...]
    leading: tuple[int, ...]
    plane_shape: tuple[int, int]
    pixel_size: float | None

    @classmethod
    def from_layer(
        cls,
        layer: Image,
        choice: PlaneChoice,
        config: SegmentConfig,
        model_title: str,
        categories: Sequence[tuple[str, str]],
    ) -> SegmentRequest:
        """Freeze what the layer looks like now."""
        return cls(
            layer=layer,
            choice=choice,
            config=config,
            model_title=model_title,
            categories=tuple(categories),
            leading=image_source.leading_shape(layer),
            plane_shape=image_source.plane_shape(layer),
            pixel_size=config.pixel_size or image_source.pixel_size_um(layer),
        )

    def make_job(self) -> SegmentJob:
        """Read the pixels and return the job for the worker; slow for lazy arrays, any thread.

        Raises
        ------
        UserError
            If the pixels cannot be read.
        """
        from napari_sartorius.engine.jobs import SegmentJob

        colour = "S" if self.layer.rgb else ""
        if self.choice.whole:
            pixels = image_source.take_plane(self.layer, ())
            axes = _LEADING_AXES[: len(self.leading)] + "YX" + colour
        else:
            pixels = image_source.take_plane(self.layer, self.choice.indices[0])
            axes = "YX" + colour
        image = image_from_array(
            pixels, axes=axes, pixel_size=self.pixel_size, name=f"'{self.layer.name}'"
        )
        return SegmentJob(image, self.config)

    def compose(self, planes: Sequence[PlaneResult]) -> ComposedLabels:
        """Turn the worker's answer into a label image with its table; any thread."""
        names = [name for name, _ in self.categories]
        results = [plane.result for plane in planes]
        seen = [one for one in results if one.timings] or results  # blank planes were skipped
        pixels = int(np.prod(self.plane_shape))
        metadata = {
            "image": self.layer.name,
            "model": self.model_title,
            "categories": [{"name": n, "colour": c} for n, c in self.categories],
            "config": self.config.model_dump(mode="json"),
            "pixel_size_um": self.pixel_size,
            "pixels": pixels * len(results),
            "pixels_seen": pixels * len(seen),
            "device": seen[0].device,
            "cell_types": sorted({one.cell_type for one in seen}),
            "timings": _summed([one.timings for one in results]),
            "passes": [[one.to_dict() for one in result.passes] for result in results],
            "notices": list(dict.fromkeys(text for one in results for text in one.notices)),
        }
        return compose(
            [one.instances for one in results],
            self.choice,
            self.leading,
            names,
            self.pixel_size,
            metadata,
        )

    def why_stale(self, present: Sequence[Any]) -> str | None:
        """Return one sentence saying why a result can no longer be used, or None when it can.

        Parameters
        ----------
        present : sequence of Layer
            The layers that are in the viewer now.
        """
        if not any(self.layer is one for one in present):
            return (
                f"The image '{self.layer.name}' was removed during the run, so its result was "
                "discarded: add the image again and press Run."
            )
        same = (
            image_source.leading_shape(self.layer) == self.leading
            and image_source.plane_shape(self.layer) == self.plane_shape
        )
        if not same:
            return (
                f"The image '{self.layer.name}' changed its size during the run, so the result no "
                "longer fits and was discarded: press Run again."
            )
        return None


def _summed(timings: Sequence[dict[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for one in timings:
        for stage, seconds in one.items():
            total[stage] = total.get(stage, 0.0) + float(seconds)
    return total


def shown_copy(
    labels: NDArray[Any], features: dict[str, NDArray[Any]], hidden: NDArray[np.bool_]
) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Return copies of a label image and its table without the hidden objects.

    Label values stay as they are, so both layers speak of the same cells by the same numbers.
    """
    keep = np.ones(int(labels.max(initial=0)) + 1, dtype=bool)
    index = features["index"].astype(np.int64)
    gone = index[hidden & (index < len(keep))]
    keep[gone] = False
    return np.where(keep[labels], labels, 0), {k: v[~hidden] for k, v in features.items()}
