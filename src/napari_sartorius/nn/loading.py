"""From a weights file to a network that is ready to run: the door through which bundles load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from safetensors.torch import load

from napari_sartorius.nn.blank import WithoutInitialValues
from napari_sartorius.nn.quick_torchvision import import_torchvision

if TYPE_CHECKING:
    from napari_sartorius.nn.config import Architecture
    from napari_sartorius.nn.network import Network

Precision = Literal["float32", "mixed", "bfloat16"]


def load_network(tree: Architecture, data: bytes) -> Network:
    """Network of this tree in evaluation mode, with weights in safetensors format.

    Parameters
    ----------
    tree, data
        The architecture, and the content of the weights file.

    Raises
    ------
    SafetensorError
        When `data` is damaged.
    RuntimeError
        When the weights do not fit the tree.
    """
    import_torchvision()  # before the networks import it in full
    from napari_sartorius.nn.build import build_network

    weights = load(data)
    with WithoutInitialValues():
        network = build_network(tree)
    network.load_state_dict({name: value.float() for name, value in weights.items()})
    return network.eval()


def make_ready(network: Network, device: str, precision: Precision) -> None:
    """Change the weights so that every image costs less; the network cannot be saved any more.

    Parameters
    ----------
    network
        In evaluation mode.
    device, precision
        Where it will run, and in which arithmetic; see
        `napari_sartorius.zoo.bundle.ModelBundle.load_network`.
    """
    from napari_sartorius.nn.arithmetic import draw_masks_in_bfloat16, store_in_bfloat16
    from napari_sartorius.nn.fold import flatten_in_memory_order, fold_batch_norm
    from napari_sartorius.nn.rectified import rectify_as_written

    fold_batch_norm(network)
    flatten_in_memory_order(network)
    if precision == "bfloat16":
        store_in_bfloat16(network)
    elif precision == "mixed":
        draw_masks_in_bfloat16(network, device)
    rectify_as_written(network, device)


def move(network: Network, device: str) -> Network:
    """The network on `device`, its weights in the order in memory that convolutions prefer."""
    return network.to(device=torch.device(device), memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
