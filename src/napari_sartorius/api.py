"""The verbs of the Python interface: load a model, segment an image or a stack with it.

>>> import napari_sartorius as ns
>>> model = ns.load_model("neurons")  # doctest: +SKIP
>>> instances = ns.segment("field.tif", model)  # doctest: +SKIP
>>> of_each_plane = ns.segment_stack("series.tif", model)  # doctest: +SKIP

Torch is imported when a model is loaded, not before.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.engine.context import WarmCache
from napari_sartorius.engine.jobs import segment_planes, warm_segmenter
from napari_sartorius.engine.settings import segment_config
from napari_sartorius.io.images import ImageData, image_from_array, plane_shape, planes, read_image
from napari_sartorius.zoo import find_bundle

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.inference.result import SegmentResult
    from napari_sartorius.zoo import AnyBundle, ModelCard
    from napari_sartorius.zoo.ensemble_card import EnsembleCard

__all__ = ["Model", "load_model", "segment", "segment_stack"]

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
        config = self._config(options)
        picture = _open(image)
        shape = plane_shape(picture)
        if shape:
            raise UserError(
                f"{picture.where} is a stack of {' x '.join(map(str, shape))} planes, expected one "
                "image: use segment_stack, which segments plane by plane."
            )
        segmenter = warm_segmenter(self._cache, config)
        _, pixels = next(planes(picture, config.channel))
        result = segmenter.segment(pixels, pixel_size=picture.pixel_size, monitor=monitor)
        result.notices.extend(picture.notes)
        return result

    def segment_stack(
        self, image: ArrayLike | str | Path, *, monitor: Monitor | None = None, **options: Any
    ) -> list[SegmentResult]:
        """Segment as `napari_sartorius.segment_stack` does, and say how the objects were found.

        Returns
        -------
        list of SegmentResult
            One per plane. What is to be told of the stack as a whole stands with the first.
        """
        config = self._config(options)
        picture = _open(image)
        found = segment_planes(warm_segmenter(self._cache, config), picture, monitor or Monitor())
        return [plane.result for plane in found]

    def _config(self, options: dict[str, Any]) -> SegmentConfig:
        return segment_config(**{"device": self._device, **options, "model": str(self.bundle.path)})


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
        Array of any real number type, (Y, X) or (Y, X, 1 to 4): grey or colours, with or without
        alpha; or the path of an image.
    model
        What `load_model` gave, or a name or path to load (the last two are kept in memory).
    monitor
        Hears of progress and may cancel.
    **options
        Fields of `napari_sartorius.inference.config.SegmentConfig`: ``cell_type``, ``preset``,
        ``device``, ``precision``, ``diameter`` (pixels), ``pixel_size`` (micrometres),
        ``min_score``, ``score_thresholds``, ``min_size`` (pixels), ``mask_nms``, ``box_nms``,
        ``max_objects_per_tile``, ``tile``, ``channel``, ``rescore``.

    Returns
    -------
    Instances
        One object per cell, best score first, none overlapping, in pixels of the image.
        `Instances.to_labels` makes a label image and a table of them. Notices, for example that a
        limit on the number of objects was reached, go to the log as warnings.

    Raises
    ------
    UserError
        When the image, an option or the model cannot be used; one sentence says why. A stack
        cannot: that is what `segment_stack` is for.
    """
    return _told(_loaded(model).segment(image, monitor=monitor, **options))


def segment_stack(
    image: ArrayLike | str | Path,
    model: Model | str | Path = "neurons",
    *,
    monitor: Monitor | None = None,
    **options: Any,
) -> list[Instances]:
    """Find every cell in each plane of a time series or z-stack.

    Planes are read one at a time, so a file may be larger than memory. Blank planes have no
    objects, and no time is spent on them.

    Parameters
    ----------
    image
        Array (T, Y, X) or (T, Z, Y, X), with colours last where there are any; or the path of a
        file, whose axes are taken as it names them. A single image is a stack of one plane.
    model, monitor, **options
        As for `segment`.

    Returns
    -------
    list of Instances
        One per plane, the last axis of the stack running fastest; what `segment` gives for it.

    Raises
    ------
    UserError
        As `segment`, and when all planes are blank.
    """
    return [_told(one) for one in _loaded(model).segment_stack(image, monitor=monitor, **options)]


def _loaded(model: Model | str | Path) -> Model:
    return model if isinstance(model, Model) else _kept_model(str(model))


def _told(result: SegmentResult) -> Instances:
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
