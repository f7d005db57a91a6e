"""Segments with remembered looks: as the user would, or only up to what selection begins with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path

from napari_sartorius.core.instances import Instances
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.ensemble_segmenter import EnsembleSegmenter
from napari_sartorius.inference.network_pool import NetworkPool
from napari_sartorius.inference.pass_sweep import selection_of
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.inference.selection import ALL_TYPES, Selection
from napari_sartorius.training.tuning.memory import LookMemory, RememberingRunner
from napari_sartorius.zoo.bundle import ModelBundle
from napari_sartorius.zoo.card import ModelCard
from napari_sartorius.zoo.ensemble_bundle import EnsembleBundle

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.core.views import View
    from napari_sartorius.inference.device import Precision
    from napari_sartorius.inference.network import NetworkRunner
    from napari_sartorius.inference.prepare import PreparedImage
    from napari_sartorius.inference.selection import Judge
    from napari_sartorius.nn.network import Network
    from napari_sartorius.zoo import AnyBundle
    from napari_sartorius.zoo.ensemble_card import AnyCard


@dataclass
class Raw:
    """Objects after fusion and seams, without doubles; no mask is empty.

    Attributes
    ----------
    objects
        Of the wanted cell type.
    area_factor
        Image pixels per network pixel (area).
    """

    objects: Instances
    area_factor: float


class _Stop:
    """Keeps what there is once doubles are gone, so that nothing need be done with it."""

    raw: Raw | None = None
    stops: bool = False

    def _judge_of(self, prepared: PreparedImage) -> Judge | None:
        judge: Judge | None = super()._judge_of(prepared)  # type: ignore[misc]
        if not self.stops:
            return judge

        def keep(objects: Instances) -> Instances:
            y, x = prepared.rescaler.to_image
            self.raw = Raw(objects if judge is None else judge(objects), float(y * x))
            return objects[:0]

        return keep


class _One(_Stop, Segmenter):
    """A single model."""

    memory: LookMemory

    def _network(self) -> NetworkRunner:
        return RememberingRunner(super()._network(), self.memory, self.bundle.card.sha256)


class _Several(_Stop, EnsembleSegmenter):
    """An ensemble."""


class _Pool(NetworkPool):
    """Its networks are remembered by the names of the members they were made of."""

    memory: LookMemory

    def runner(
        self,
        names: tuple[str, ...],
        network: Network,
        device: str,
        precision: Precision,
        views: tuple[View, ...],
    ) -> NetworkRunner:
        runner = super().runner(names, network, device, precision, views)
        return RememberingRunner(runner, self.memory, "+".join(names))


class Segmenters:
    """Segmenters of one model with changing cards, whose networks are loaded once.

    Parameters
    ----------
    bundle
        The model.
    preset, device
        How it looks.
    memory
        What its networks found.
    network
        Used instead of loading a single model's; or those of an ensemble by member.
    """

    def __init__(
        self, bundle: AnyBundle, preset: str, device: str, memory: LookMemory, network: Any = None
    ) -> None:
        self.bundle = bundle
        self._preset = preset
        self._device = device
        self._memory = memory
        self._network = network
        if isinstance(bundle, EnsembleBundle):
            self._pool = _Pool(bundle, network)
            self._pool.memory = memory

    def _config(self, cell_type: str | None = None, *, rescore: bool = True) -> SegmentConfig:
        """How images are segmented: as a user would with this preset."""
        return SegmentConfig.model_validate(
            {
                "model": self.bundle.card.name,
                "cell_type": cell_type or "auto",
                "preset": self._preset,
                "device": self._device,
                "rescore": "auto" if rescore else False,
            }
        )

    def whole(self, card: AnyCard) -> Segmenter | EnsembleSegmenter:
        """As a user with this card would have it."""
        return self._make(card, self._config())

    def raw(self, card: AnyCard, cell_type: str | None, *, rescore: bool) -> _One | _Several:
        """Keeps in `raw` what there is once doubles are gone, judged with `rescore`."""
        segmenter = self._make(card, self._config(cell_type, rescore=rescore))
        segmenter.stops = True
        return segmenter

    def selection(self, card: AnyCard, cell_type: str | None) -> Selection:
        """What is done to the objects of an image of this type, the only one when it is named."""
        return selection_of(card, self._config(cell_type), cell_type or ALL_TYPES)

    def _make(self, card: AnyCard, config: SegmentConfig) -> _One | _Several:
        if isinstance(card, ModelCard):
            assert isinstance(self.bundle, ModelBundle)
            bundle = ModelBundle(card, self.bundle.path, self.bundle.inside)
            one = _One(bundle, config, self._network)
            one.memory = self._memory
            if self._network is None:
                self._network = _loaded(one)
            one._detector = self._network
            return one
        return _Several(EnsembleBundle(card, self.bundle.path), config, self._pool)


def _loaded(segmenter: Segmenter) -> Network:
    segmenter.warm_up()
    return segmenter._network().detector


def memory_folder(card: AnyCard, root: Path | None = None) -> Path:
    """Folder for what the networks of a model find; another one when anything else would be found.

    Parameters
    ----------
    card
        Of the model. Its name, its thresholds, and what is said of it make no difference.
    root
        Where such folders are; the user's cache when None.
    """
    said = card.model_dump(mode="json")
    parts = [said] if isinstance(card, ModelCard) else [m["card"] for m in said["members"]]
    names = ("sha256", "architecture", "normalisation", "input_size", "whole_grey_levels")
    facts = [{name: part[name] for name in names} for part in parts]
    for fact, part in zip(facts, parts, strict=True):
        if part["image_diameter"] is not None:
            fact["zoom"] = part["cell_diameter"] / part["image_diameter"]
    if not isinstance(card, ModelCard):
        # Networks that are joined stage by stage are one network with options of its own.
        presets = (card.preset(name) for name in ("fast", "balanced", "best"))
        ways = [*said["passes"], *(one.model_dump(mode="json") for one in presets)]
        facts += [{name: one[name] for name in ("members", "views", "fusion")} for one in ways]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return (root or user_cache_path("napari-sartorius") / "tuning") / digest[:16]
