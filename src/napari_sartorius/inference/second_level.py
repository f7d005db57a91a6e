"""The second level at work: a model's rescorer judges the objects of the image at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from napari_sartorius.core.errors import MissingPackage
from napari_sartorius.postprocess.second_level.features import object_features
from napari_sartorius.postprocess.second_level.names import PIXEL_SCORE
from napari_sartorius.postprocess.second_level.rescorer import Rescorer
from napari_sartorius.postprocess.second_level.rescoring import rescore
from napari_sartorius.zoo.ensemble_card import EnsembleCard
from napari_sartorius.zoo.rescorer_card import RescorerCard

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.inference.prepare import PreparedImage
    from napari_sartorius.zoo.bundle import AnyBundle
    from napari_sartorius.zoo.ensemble_card import AnyCard


class ImageJudge(Protocol):
    """Judges the objects of an image once doubles are gone, see `Selection.finish`."""

    def __call__(self, objects: Instances, prepared: PreparedImage) -> Instances:
        """Drop and rank objects, and add columns."""


@dataclass(frozen=True, eq=False)
class SecondLevel:
    """A rescorer and how it is used.

    Attributes
    ----------
    rescorer
        Predicts IoU from features.
    card
        What is dropped, and what becomes the score.
    names
        Categories by index.
    """

    rescorer: Rescorer
    card: RescorerCard
    names: Sequence[str]

    @property
    def wants_confidence(self) -> bool:
        """Whether the rescorer looks at the probabilities of masks."""
        return not set(PIXEL_SCORE).isdisjoint(self.rescorer.features)

    def judge(self, objects: Instances, prepared: PreparedImage) -> Instances:
        """Predict how well each object fits, and drop and rank them by it."""
        predicted = self.rescorer.predict(features_in(objects, prepared))
        limits = [self.card.min_predicted_iou.get(name, 0.0) for name in self.names]
        return rescore(objects, predicted, limits, self.card.rank)


def features_in(objects: Instances, prepared: PreparedImage) -> dict[str, NDArray[np.float64]]:
    """Features of the objects of an image, in the network's pixels and grey levels."""
    y, x = prepared.rescaler.to_image
    return object_features(objects, prepared.grey_levels, scale=float(y * x) ** 0.5)


def is_wanted(card: AnyCard, config: SegmentConfig) -> bool:
    """Whether objects are to be rescored: as the user says, else as the preset does."""
    if config.rescore != "auto":
        return config.rescore
    if isinstance(card, EnsembleCard):
        return card.preset(config.preset).rescore
    return config.preset == "best"


def second_level_of(
    bundle: AnyBundle, config: SegmentConfig, monitor: Monitor
) -> SecondLevel | None:
    """Load a model's second level; None where it has none, or none is wanted.

    A missing package is no reason to find nothing: then the user is told, and it goes on without.

    Raises
    ------
    UserError
        When the rescorer's file is damaged.
    """
    card = bundle.card.rescorer
    if card is None:
        if config.rescore is True:
            monitor.notice(
                f"the model {bundle.card.name} has no second level to rescore with; make one with "
                "'napari-sartorius rescore fit'"
            )
        return None
    if not is_wanted(bundle.card, config):
        return None
    data = bundle.read_rescorer()
    assert data is not None
    try:
        Rescorer.check_available()
        rescorer = Rescorer.from_bytes(data, f"the rescorer of {bundle.card.name}")
    except MissingPackage:
        monitor.notice(
            "objects are not rescored, because catboost or OpenCV is missing; install them with "
            'pip install "napari-sartorius[all]"'
        )
        return None
    return SecondLevel(rescorer, card, bundle.card.category_names)
