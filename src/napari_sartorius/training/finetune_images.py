"""The images of a fine-tuning: corrected ones to learn from and to measure with, and old kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from napari_sartorius.core.wording import plural
from napari_sartorius.training.data import pack_dataset, sides_sparing_few
from napari_sartorius.training.finetune_limits import FEW_IMAGES
from napari_sartorius.training.keep_apart import keep_apart
from napari_sartorius.training.rehearsal import rehearsal_images
from napari_sartorius.training.replay import by_kind, old_images
from napari_sartorius.zoo.learnt_from import Kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.io.coco import CocoDataset, ImageId
    from napari_sartorius.nn.network import Network
    from napari_sartorius.training.config import ReplayConfig, TrainConfig
    from napari_sartorius.training.images import AnnotatedImage
    from napari_sartorius.zoo import ModelBundle

# Fewer old images get less than their share, or they would be learnt by heart.
_ENOUGH = 12
# Every so many of the generated pictures is not shown and tells what is remembered.
_REMEMBER = 5


class FineTuningImages(NamedTuple):
    """Packed images at their own scale.

    Attributes
    ----------
    training, validation
        Corrected ones.
    ids
        Ids of the records that the two come from.
    old
        Of kinds that the start knows: given by the user, kind by kind, then generated.
    generated
        How many of `old` were generated.
    remembered
        Generated ones that are not trained on.
    """

    training: list[AnnotatedImage]
    validation: list[AnnotatedImage]
    ids: tuple[frozenset[ImageId], frozenset[ImageId]]
    old: tuple[AnnotatedImage, ...] = ()
    generated: int = 0
    remembered: tuple[AnnotatedImage, ...] = ()

    @property
    def old_parts(self) -> tuple[tuple[AnnotatedImage, ...], int]:
        """Old images that were given, and how many generated ones come after them."""
        given = len(self.old) - self.generated
        return self.old[:given], self.generated

    def old_share(self, replay: ReplayConfig) -> float:
        """Share of the crops, 0..1, that old images get."""
        return replay.share * min(1.0, len(self.old) / _ENOUGH)

    def kept(self, config: TrainConfig, share: float) -> Kept | None:
        """What a card says of it; `share` is that of the learnt weights."""
        replay = config.replay
        if replay is None:
            return None
        return Kept(
            generated=self.generated,
            images=len(self.old) - self.generated,
            share=self.old_share(replay),
            pull=replay.pull,
            frozen_normalisation=config.freeze.statistics,
            new_weight=share,
        )


def new_images(dataset: CocoDataset, config: TrainConfig, monitor: Monitor) -> FineTuningImages:
    """The corrected images; with few of them a strip of each measures, with more some of them do.

    Raises
    ------
    UserError
        When an image cannot be read.
    """
    if len(dataset) < FEW_IMAGES:
        count = plural(len(dataset), "image")
        monitor.notice(
            f"{count}: a quarter of each is kept apart to measure the result; "
            f"{FEW_IMAGES} or more images measure it better"
        )
    sides = sides_sparing_few(dataset, config, monitor, FEW_IMAGES)
    learnt, measured = (frozenset(image.id for image in part.images) for part in sides[:2])
    if sides.strips:
        training, validation = keep_apart(pack_dataset(sides.training, config, monitor))
        return FineTuningImages(training, validation, (learnt, learnt))
    return FineTuningImages(
        pack_dataset(sides.training, config, monitor),
        pack_dataset(sides.validation, config, monitor, config.validate_images),
        (learnt, measured),
    )


def with_old_images(
    images: FineTuningImages,
    start: ModelBundle,
    network: Network,
    config: TrainConfig,
    names: Sequence[str],
    monitor: Monitor,
) -> FineTuningImages:
    """Add what the start knows, as `config.replay` says.

    Parameters
    ----------
    images
        The corrected ones.
    start, network
        The model, and its network in evaluation mode.
    config
        Of the training; `validate_first` says that the start has the same categories, without
        which nothing that it finds can be shown again.
    names
        The categories.
    monitor
        Progress, notices, cancel.

    Raises
    ------
    UserError
        When the images that the user names cannot be read or show other categories.
    """
    replay = config.replay
    if replay is None:
        return images
    given = by_kind(old_images(replay, config, names, monitor))
    generated: list[AnnotatedImage] = []
    if replay.generated and config.validate_first:
        generated = rehearsal_images(start, network, config, replay.generated, monitor)
        monitor.notice(
            f"the model knows {len(generated)} of "
            f"{plural(replay.generated, 'generated picture')}: they keep it from forgetting"
        )
    shown = [image for number, image in enumerate(generated) if number % _REMEMBER]
    return images._replace(
        old=(*given, *shown), generated=len(shown), remembered=tuple(generated[::_REMEMBER])
    )
