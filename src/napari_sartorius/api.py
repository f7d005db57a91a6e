"""The two verbs of the Python interface: load a model, segment an image with it.

>>> import napari_sartorius as ns
>>> model = ns.load_model("neurons")  # doctest: +SKIP
>>> instances = ns.segment("field.tif", model)  # doctest: +SKIP

Torch is imported when a model is loaded, not before.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.engine.context import WarmCache
from napari_sartorius.engine.jobs import warm_segmenter
from napari_sartorius.engine.settings import segment_config
from napari_sartorius.io.images import ImageData, image_from_array, plane_shape, planes, read_image
from napari_sartorius.zoo import find_bundle

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.inference.result import SegmentResult
    from napari_sartorius.zoo import AnyBundle, ModelCard
    from napari_sartorius.zoo.ensemble_card import EnsembleCard

__all__ = ["Model", "load_model", "segment"]

_log = logging.getLogger(__name__)


class Model:
    """A model whose network is loaded. Made by `load_model`.

    Attributes
    ----------
    bundle : ModelBundle or EnsembleBundle
        Where it comes from; ``bundle.card`` says what it finds and what may be done with it.
    """

    def __init__(self, bundle: AnyBundle, device: str) -> None:
        self.bundle = bundle
        self._device = device
        self._cache = WarmCache()
        config = segment_config(model=str(bundle.path), device=device)
        warm_segmenter(self._cache, config).warm_up()

    def __repr__(self) -> str:
        return f"Model({self.card.name!r}, device={self._device!r})"

    @property
    def card(self) -> ModelCard | EnsembleCard:
        """What is known of the model."""
        return self.bundle.card

    @property
    def categories(self) -> list[str]:
        """Names that `Instances.categories` index."""
        return self.card.category_names

    def segment(
        self, image: ArrayLike | str | Path, *, monitor: Monitor | None = None, **options: Any
    ) -> SegmentResult:
        """Segment as `napari_sartorius.segment` does, and say how the objects were found.

        Returns
        -------
        SegmentResult
            Objects, cell type, device, seconds per stage and notices.
        """
        given = {"device": self._device, **options, "model": str(self.bundle.path)}
        config = segment_config(**given)
        picture = _open(image)
        shape = plane_shape(picture)
        if shape:
            raise UserError(
                f"{picture.where} is a stack of {' x '.join(map(str, shape))} planes: segment "
                "each plane on its own, or use the command `napari-sartorius segment`."
            )
        segmenter = warm_segmenter(self._cache, config)
        _, pixels = next(planes(picture, config.channel))
        return segmenter.segment(pixels, pixel_size=picture.pixel_size, monitor=monitor)


def load_model(name: str | Path, *, device: str = "auto") -> Model:
    """Load a model.

    Parameters
    ----------
    name
        Name of an installed model or ensemble, such as ``"neurons"`` or ``"nuclei"``, or the path
        of a bundle (folder or zip).
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ... or ``mps``.

    Returns
    -------
    Model
        To be given to `segment`, as often as you like.

    Raises
    ------
    UserError
        When there is no such model, its weights do not match its card, or the device is unknown.
    """
    return Model(find_bundle(name), device)


def segment(
    image: ArrayLike | str | Path,
    model: Model | str | Path = "neurons",
    *,
    monitor: Monitor | None = None,
    **options: Any,
) -> Instances:
    """Find every cell in one image.

    Parameters
    ----------
    image
        Array (Y, X), (Y, X, 3) or (Y, X, 4) of any real number type, or the path of an image.
    model
        What `load_model` gave, or a name or path to load (the last two are kept in memory).
    monitor
        Hears of progress and may cancel.
    **options
        Fields of `napari_sartorius.inference.config.SegmentConfig`: ``cell_type``, ``preset``,
        ``device``, ``precision``, ``diameter`` (pixels), ``pixel_size`` (micrometres),
        ``min_score``, ``score_thresholds``, ``min_size`` (pixels), ``mask_nms``,
        ``max_objects_per_tile``, ``tile``, ``channel``.

    Returns
    -------
    Instances
        One object per cell, best score first, none overlapping, in pixels of the image.
        `Instances.to_labels` makes a label image and a table of them. Notices, for example that a
        limit on the number of objects was reached, go to the log as warnings.

    Raises
    ------
    UserError
        When the image, an option or the model cannot be used; one sentence says why.
    """
    loaded = model if isinstance(model, Model) else _kept_model(str(model))
    result = loaded.segment(image, monitor=monitor, **options)
    for notice in result.notices:
        _log.warning("%s", notice)
    return result.instances


@lru_cache(maxsize=2)
def _kept_model(name: str) -> Model:
    return load_model(name)


def _open(image: ArrayLike | str | Path) -> ImageData:
    if isinstance(image, str | Path):
        return read_image(image)
    return image_from_array(image)
