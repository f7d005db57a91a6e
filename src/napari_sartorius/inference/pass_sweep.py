"""From a pass of an ensemble's card to a walk over the image at hand."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.views import View
from napari_sartorius.ensemble.config import build
from napari_sartorius.ensemble.looks import Canvas
from napari_sartorius.ensemble.mean_of_looks import MeanOfLooks
from napari_sartorius.inference.cell_type import count_proposals
from napari_sartorius.inference.joined_input import member_inputs
from napari_sartorius.inference.one_network import OneNetwork
from napari_sartorius.inference.prepare import PreparedImage, prepare
from napari_sartorius.inference.selection import Selection
from napari_sartorius.inference.several_networks import Looker, SeveralNetworks
from napari_sartorius.inference.sweep import Sweep, overlap_of
from napari_sartorius.zoo.card import ModelCard
from napari_sartorius.zoo.ensemble_card import responsible

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from numpy.typing import NDArray

    from napari_sartorius.core.progress import NoticeBook
    from napari_sartorius.ensemble.proposal_counts import CountRule
    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.inference.device import Precision
    from napari_sartorius.inference.memory import Effort
    from napari_sartorius.inference.network import NetworkRunner
    from napari_sartorius.inference.network_pool import NetworkPool
    from napari_sartorius.inference.result import Stopwatch
    from napari_sartorius.inference.tile_walk import Eyes
    from napari_sartorius.zoo.ensemble_card import AnyCard, EnsembleCard, PassCard


class Pictures:
    """One image as each member wants it; members that want the same share it.

    Parameters
    ----------
    image : (Y, X) or (Y, X, C)
        Its own pixels.
    card, config, pixel_size
        Whose members, the user's wishes, and the pixel size of the file.
    book
        Hears what the user should know of scales and grey levels.
    """

    def __init__(
        self,
        image: NDArray[Any],
        card: EnsembleCard,
        config: SegmentConfig,
        pixel_size: float | None,
        book: NoticeBook,
    ) -> None:
        self.image = image
        self._card = card
        self._config = config
        self._pixel_size = pixel_size
        self._book = book
        self._made: dict[Hashable, PreparedImage] = {}

    def of(self, name: str) -> PreparedImage:
        """The image for a member; errors as `prepare`."""
        card = self._card.member(name).card
        key = (
            card.normalisation, card.input_channels, card.cell_diameter, card.pixel_size,
            card.input_size, card.image_diameter, card.whole_grey_levels,
        )  # fmt: skip
        if key not in self._made:
            self._made[key] = prepare(self.image, card, self._config, self._pixel_size)
            for notice in self._made[key].notices:
                self._book.notice(notice)
        return self._made[key]


class PassSetup:
    """A pass with all that does not depend on the image.

    Parameters
    ----------
    card, one
        The ensemble and its pass, which has the thresholds of all categories.
    config
        How to segment.

    Attributes
    ----------
    one
        The pass.
    user_type
        The cell type that the user has named, or None.

    Raises
    ------
    UserError
        When the configuration does not suit the ensemble.
    """

    def __init__(self, card: EnsembleCard, one: PassCard, config: SegmentConfig) -> None:
        self._card = card
        self.one = one
        self._config = config
        self._views = tuple(View.parse(name) for name in one.views)
        self.user_type = None if config.cell_type == "auto" else config.cell_type
        self.selection(self.user_type)

    def selection(self, cell_type: str | None) -> Selection:
        """Every limit that can drop an object of an image of this type."""
        return self._selection_of(self.one.members[0].name, cell_type)

    def _selection_of(self, name: str, cell_type: str | None) -> Selection:
        """With a member's own limits on boxes and objects, and the thresholds of the pass."""
        dressed = self._card.member(name).card.model_copy(
            update={
                "name": self._card.name,
                "categories": self._card.categories,
                "thresholds": self.one.thresholds,
                "one_category_per_image": self._card.one_category_per_image,
                "filters": self._card.filters,
            }
        )
        wish = self._config.model_copy(update={"cell_type": cell_type or "auto"})
        return Selection.of(dressed, wish)

    def _labels(self, name: str) -> NDArray[np.int64]:
        """The ensemble's category for each class of a member."""
        order = self._card.category_names
        own = self._card.member(name).card.category_names
        return np.array([order.index(one) for one in own], np.int64)

    def sweep(
        self,
        cell_type: str | None,
        pictures: Pictures,
        pool: NetworkPool,
        effort: Effort,
        watch: Stopwatch,
        mask_confidence: bool = False,
    ) -> Sweep:
        """The walk over an image, ready to be planned. Loads networks where they are missing.

        With `mask_confidence` objects carry the columns of `core.mask_confidence`, as far as the
        strategy knows probabilities.
        """
        selection = replace(self.selection(cell_type), mask_confidence=mask_confidence)
        names = self.one.member_names
        make = partial(self._runner, pool=pool, effort=effort)
        # Tiles are laid out for the member that sees the image largest and so needs most memory.
        common = min(names, key=lambda name: max(pictures.of(name).rescaler.to_image))
        if self.one.is_stage_by_stage:
            common, runner = self._joined(pictures, pool, effort)
        else:
            with make(common) as runner:
                pass  # to know its stride
        if self.one.is_stage_by_stage or self._is_one_model:
            labels = self._labels(common)
            eyes: Eyes = OneNetwork(runner, selection, pictures.of(common), watch, labels)
        else:
            eyes = self._several(cell_type, pictures, common, make, watch, mask_confidence)
        scale = pictures.of(common).rescaler.to_image[0]
        overlaps = [
            overlap_of(self._member(name)) * pictures.of(name).rescaler.to_image[0] / scale
            for name in names
        ]
        usual = self._member(common).input_size
        return Sweep(
            eyes,
            selection,
            pictures.of(common),
            self._config,
            overlap=round(max(overlaps)),
            stride=runner.detector.size_divisibility,
            whole=usual.short_edge * usual.long_edge if usual is not None else 0,
            growth=runner.memory_growth,
        )

    @property
    def _is_one_model(self) -> bool:
        """Whether it does what a single model does by itself, and so shall do it bit for bit."""
        return len(self.one.members) == 1 and self.one.fusion == MeanOfLooks()

    def _member(self, name: str) -> ModelCard:
        return self._card.member(name).card

    def precision(self, name: str, pool: NetworkPool, device: str) -> Precision:
        """Arithmetic of a member; networks that are joined share one."""
        if not self.one.is_stage_by_stage or name not in self.one.member_names:
            return pool.precision(name, self._config, device)
        wishes = {pool.precision(one, self._config, device) for one in self.one.member_names}
        return wishes.pop() if len(wishes) == 1 else "float32"

    def counted_type(
        self, rule: CountRule, pictures: Pictures, pool: NetworkPool, effort: Effort
    ) -> str:
        """The cell type that the members' joint proposals tell; only for ``stage_means``."""
        common, runner = self._joined(pictures, pool, effort)
        return count_proposals(runner, pictures.of(common), rule)

    @contextmanager
    def _runner(self, name: str, pool: NetworkPool, effort: Effort) -> Iterator[NetworkRunner]:
        precision = self.precision(name, pool, effort.device)
        with pool.lend(name, effort.device, precision, one_by_one=effort.one_by_one) as network:
            yield pool.runner((name,), network, effort.device, precision, self._views)

    def _several(
        self,
        cell_type: str | None,
        pictures: Pictures,
        common: str,
        make: Any,
        watch: Stopwatch,
        mask_confidence: bool,
    ) -> SeveralNetworks:
        """Members that look one after the other, and whose finds are fused."""
        looks = len(self.one.members) * len(self._views)
        lookers = []
        for number, member in enumerate(self.one.members):
            labels = self._labels(member.name)
            own = self._selection_of(member.name, cell_type)
            lookers.append(
                Looker(
                    partial(make, member.name),
                    number,
                    member.weight,
                    pictures.of(member.name),
                    own.network_limits(looks, labels),
                    labels,
                )
            )
        selection = self.selection(cell_type)
        canvas = Canvas(
            pictures.of(common).image_size,
            selection.mask,
            selection.confident,
            all(self._member(n).mask_pasting == "whole_pixels" for n in self.one.member_names),
            mask_confidence,
        )
        strategy = build(self.one.fusion)  # type: ignore[arg-type]
        return SeveralNetworks(
            lookers, pictures.of(common), strategy, canvas, watch, len(self._views)
        )

    def _joined(
        self, pictures: Pictures, pool: NetworkPool, effort: Effort
    ) -> tuple[str, NetworkRunner]:
        """Members joined stage by stage into one network, and whose input it takes."""
        from napari_sartorius.ensemble.join import join

        names, device = self.one.member_names, effort.device
        common = names[0]
        precision = self.precision(common, pool, device)
        networks = [pool.get(name, device, precision) for name in names]
        cards = [self._member(name) for name in names]
        inputs = member_inputs(cards, [pictures.of(name) for name in names])
        config = self.one.fusion.model_copy(update={"views": self.one.views})
        network = join(networks, config, inputs, names)  # type: ignore[arg-type]
        return common, pool.runner(tuple(names), network, device, precision, (View(),))


def selection_of(card: AnyCard, config: SegmentConfig, cell_type: str) -> Selection:
    """What is done to the objects of an image of this type, by a model or by a pass.

    Parameters
    ----------
    card, config
        As for a segmenter.
    cell_type
        A category, or ``all``.
    """
    if isinstance(card, ModelCard):
        return Selection.of(card, config)
    passes = card.passes_of(config.preset)
    setup = PassSetup(card, responsible(passes, cell_type) or passes[0], config)
    return setup.selection(setup.user_type)
