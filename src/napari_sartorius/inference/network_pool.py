"""The networks of an ensemble: each is loaded when it is first needed, and then stays."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_sartorius.inference import memory
from napari_sartorius.inference.device import choose_precision
from napari_sartorius.inference.network import NetworkRunner

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_sartorius.core.views import View
    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.inference.device import Precision
    from napari_sartorius.nn.network import Network
    from napari_sartorius.zoo.ensemble_bundle import EnsembleBundle

_HOME = "cpu"


class NetworkPool:
    """Lends networks for a device.

    Parameters
    ----------
    bundle
        Whose members they are.
    networks
        Networks by name to use instead of loading them.
    """

    def __init__(
        self, bundle: EnsembleBundle, networks: Mapping[str, Network] | None = None
    ) -> None:
        self.bundle = bundle
        self._given = dict(networks or {})
        self._loaded: dict[str, tuple[Precision, Network]] = {}
        self._place: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._given or name in self._loaded

    def precision(self, name: str, config: SegmentConfig, device: str) -> Precision:
        """Arithmetic of a member, as the user wishes or its own card says."""
        card = self.bundle.card.member(name).card
        if card.is_classifier:  # one small image, and rounding could change what it says
            return "float32"
        own = card.precision
        return choose_precision(own if config.precision == "auto" else config.precision, device)

    def get(self, name: str, device: str, precision: Precision) -> Network:
        """A member's network on a device, where it stays; loaded when it is not yet.

        Raises
        ------
        UserError
            When its weights are damaged.
        """
        network: Any = self._given.get(name)
        if network is None:
            found = self._loaded.get(name)
            if found is None or found[0] != precision:
                self._loaded.pop(name, None)  # before the new one needs its memory
                found = precision, self._load(name, device, precision)
                self._loaded[name] = found
                self._place[name] = device
            network = found[1]
        if self._place.get(name) != device:
            network.to(device)
            self._place[name] = device
        return network  # type: ignore[no-any-return]

    @contextmanager
    def lend(
        self, name: str, device: str, precision: Precision, *, one_by_one: bool = False
    ) -> Iterator[Network]:
        """A member's network for a while; with `one_by_one` all others leave the device first."""
        if one_by_one:
            self._send_home(except_for=name)
        yield self.get(name, device, precision)

    def runner(
        self,
        names: tuple[str, ...],
        network: Network,
        device: str,
        precision: Precision,
        views: tuple[View, ...],
    ) -> NetworkRunner:
        """Who runs a network on windows; `names` says which members it was made of."""
        return NetworkRunner(network, device, precision, views)

    def _load(self, name: str, device: str, precision: Precision) -> Network:
        return self.bundle.member(name).load_network(
            device, for_inference=True, precision=precision
        )

    def _send_home(self, except_for: str) -> None:
        away = [n for n, place in self._place.items() if place != _HOME and n != except_for]
        for name in away:
            network: Any = self._given[name] if name in self._given else self._loaded[name][1]
            network.to(_HOME)
            place, self._place[name] = self._place[name], _HOME
            memory.release(place)
