"""Segments with an ensemble: the passes that an image needs, then the same filters as one model.

Which cell type an image shows is decided by the user, by a classifier, or by what the pass for all
images finds. Only a pass that is responsible for the image is made, and the deciding one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.progress import NoticeBook, SubMonitor
from napari_sartorius.ensemble.proposal_counts import CountRule
from napari_sartorius.inference.attempts import ImageSegmenter
from napari_sartorius.inference.cell_type import classify
from napari_sartorius.inference.cost import pass_cost
from napari_sartorius.inference.device import choose_device
from napari_sartorius.inference.network_pool import NetworkPool
from napari_sartorius.inference.pass_sweep import PassSetup, Pictures
from napari_sartorius.inference.result import PassRun, SegmentResult, Stopwatch
from napari_sartorius.zoo.ensemble_card import responsible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_sartorius.core.progress import Monitor
    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.inference.second_level import ImageJudge
    from napari_sartorius.inference.sweep import Swept
    from napari_sartorius.nn.network import Network
    from napari_sartorius.zoo.ensemble_bundle import EnsembleBundle
    from napari_sartorius.zoo.ensemble_card import PassCard

# Share of a run's progress after which all passes are done.
_PASSES_DONE = 0.97


class EnsembleSegmenter(ImageSegmenter[Pictures]):
    """An ensemble ready to segment images one after the other.

    Parameters
    ----------
    bundle
        The ensemble. The weights of a member are loaded when a pass first needs it.
    config
        How to segment.
    networks
        Where networks come from, to keep them between segmenters; a mapping has networks by name
        to use instead of loading the members'.
    judge
        Used instead of the bundle's second level.

    Raises
    ------
    UserError
        When the configuration does not suit the ensemble.
    """

    def __init__(
        self,
        bundle: EnsembleBundle,
        config: SegmentConfig,
        networks: NetworkPool | Mapping[str, Network] | None = None,
        judge: ImageJudge | None = None,
    ) -> None:
        self.bundle = bundle
        super().__init__(bundle, config, choose_device(config.device), judge)
        card = bundle.card
        self._pool = (
            networks if isinstance(networks, NetworkPool) else NetworkPool(bundle, networks)
        )
        self._passes = card.passes_of(config.preset)
        self._setups = [PassSetup(card, one, config) for one in self._passes]
        self._user_type = self._setups[0].user_type
        self.several = any(
            len(one.members) > 1 and not one.is_stage_by_stage for one in self._passes
        )

    def _setup(self, one: PassCard) -> PassSetup:
        return next(setup for setup in self._setups if setup.one is one)

    @property
    def _first(self) -> PassCard:
        """The pass that an image begins with when nothing is known of it."""
        return responsible(self._passes, self._user_type or self._fixed) or self._passes[0]

    @property
    def _fixed(self) -> str | None:
        rule = self.bundle.card.cell_type
        return rule.category if rule.by == "fixed" else None

    @property
    def _needed_first(self) -> list[str]:
        """Who looks at every image: a classifier that chooses among passes, or a pass."""
        rule = self.bundle.card.cell_type
        if rule.by != "classifier" or rule.member is None or self._user_type is not None:
            return self._first.member_names
        chosen = len(self._passes) > 1
        return [rule.member] if chosen else [rule.member, *self._first.member_names]

    def warm_up(self) -> None:
        """Load the networks that every image needs now instead of with the first image."""
        device = self._effort.device
        for name in self._needed_first:
            self._pool.get(
                name, device, self._setup(self._first).precision(name, self._pool, device)
            )

    @property
    def is_warm(self) -> bool:
        """Whether those networks are loaded."""
        return all(name in self._pool for name in self._needed_first)

    def _prepare(self, image: NDArray[Any], pixel_size: float | None, book: NoticeBook) -> Pictures:
        pictures = Pictures(np.asarray(image), self.bundle.card, self.config, pixel_size, book)
        for name in self._needed_first:
            pictures.of(name)
        return pictures

    def _try(self, pictures: Pictures, book: NoticeBook, watch: Stopwatch) -> SegmentResult:
        """One attempt with the present effort; running out of memory ends it."""
        cell_type, type_by = self._known_type(pictures, watch)
        one = responsible(self._passes, cell_type) or self._passes[0]
        shares = _shares(self.bundle.card, self._passes, one, decided=cell_type is not None)
        swept = self._sweep(one, cell_type, pictures, watch, SubMonitor(book, 0.0, shares[0]))
        runs = [(one, swept)]
        if cell_type is None and self.bundle.card.cell_type.by in ("majority", "proposal_counts"):
            kind, type_by = self._setup(one).selection(None).type_of(swept.instances), "majority"
            cell_type = None if kind is None else self.bundle.card.category_names[kind]
            special = responsible(self._passes, cell_type)
            if special is not None and special is not one:
                one = special
                part = SubMonitor(book, shares[0], shares[1], f"{cell_type}: ")
                swept = self._sweep(one, cell_type, pictures, watch, part)
                runs.append((one, swept))
        found = swept.instances
        selection = self._setup(one).selection(cell_type)
        prepared = pictures.of(one.members[0].name)
        scale = prepared.rescaler.to_image
        with watch.measure("filter"):
            instances, kept_type = selection.finish(
                found, scale[0] * scale[1], self._judge_of(prepared)
            )
        book.progress("filter", 1.0)
        lead = one.members[0].name
        return SegmentResult(
            instances=instances,
            categories=selection.names,
            cell_type=kept_type,
            device=self._effort.device,
            timings=watch.seconds,
            notices=book.notices,
            config=self.config,
            precision=self._setup(one).precision(lead, self._pool, self._effort.device),
            tiles=sum(done.tiles for _, done in runs),
            scale=1.0 / scale[0],
            passes=tuple(_told(made) for made, _ in runs),
            type_by=type_by if cell_type is not None else "",
        )

    def _load(self, one: PassCard, watch: Stopwatch, monitor: Monitor) -> None:
        """Load the members of a pass that are not there yet."""
        missing = [name for name in one.member_names if name not in self._pool]
        if not missing or self._effort.one_by_one:
            return  # taking turns, each is loaded when it looks
        device = self._effort.device
        with watch.measure("load"):
            for name in missing:
                monitor.check()
                monitor.progress(f"loading {name}", 0.0)
                self._pool.get(name, device, self._setup(one).precision(name, self._pool, device))

    def _known_type(self, pictures: Pictures, watch: Stopwatch) -> tuple[str | None, str]:
        """The cell type and what has decided it, before any object is looked for."""
        rule = self.bundle.card.cell_type
        if self._user_type is not None:
            return self._user_type, "user"
        if rule.by == "classifier" and rule.member is not None:
            with watch.measure("classify"):
                return self._classified(rule.member, pictures), "classifier"
        if rule.by == "proposal_counts" and self._first.fusion.strategy == "stage_means":
            setup = self._setup(self._first)
            with watch.measure("classify"):
                counts = rule.counts or CountRule()
                return setup.counted_type(counts, pictures, self._pool, self._effort), rule.by
        return (self._fixed, "fixed") if self._fixed is not None else (None, "")

    def _classified(self, name: str, pictures: Pictures) -> str:
        device = self._effort.device
        precision = self._pool.precision(name, self.config, device)
        with self._pool.lend(name, device, precision, one_by_one=self._effort.one_by_one) as one:
            number = classify(one, pictures.of(name), device)  # type: ignore[arg-type]
        return self.bundle.card.member(name).card.category_names[number]

    def _sweep(
        self,
        one: PassCard,
        cell_type: str | None,
        pictures: Pictures,
        watch: Stopwatch,
        monitor: Monitor,
    ) -> Swept:
        monitor.check()
        self._load(one, watch, monitor)
        setup = self._setup(one)
        sweep = setup.sweep(
            cell_type, pictures, self._pool, self._effort, watch, self._wants_confidence
        )
        plan, batch = sweep.plan(self._effort)
        self._tried = batch, max(plan.padded)
        return sweep.run(plan, batch, watch, monitor)


def _shares(
    card: Any, passes: tuple[PassCard, ...], first: PassCard, *, decided: bool
) -> tuple[float, float]:
    """Shares of the progress after which the first pass, and another one, are done."""
    later = [pass_cost(card, one) for one in passes if one is not first and not decided]
    own = pass_cost(card, first)
    return _PASSES_DONE * own / (own + max(later, default=0.0)), _PASSES_DONE


def _told(one: PassCard) -> PassRun:
    fusion = one.fusion.strategy if len(one.members) > 1 else ""
    return PassRun(tuple(one.member_names), one.views, fusion, one.cell_types)
