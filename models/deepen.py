"""A start for a deeper model: the same function, with residual blocks added that do nothing yet.

    python models/deepen.py neurons resnet34 runs/neurons-deeper

A block that ends on a batch normalisation with the weight zero passes on what it is given, so the
deeper network begins as good as the model it comes from (Chen et al. 2016, Net2Net; Goyal et al.
2017 begin all blocks so). For trunks made of timm's basic blocks: ResNet-18 and -34.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_sartorius.nn.build import build_network
from napari_sartorius.zoo import find_single, save_bundle

if TYPE_CHECKING:
    from torch import Tensor, nn

_BLOCK = re.compile(r"^(trunk\.body\.layer\d)\.(\d+)\.")


def deepened(small: dict[str, Tensor], deep: nn.Module) -> dict[str, Tensor]:
    """State of the deeper network that computes what the smaller one does.

    Parameters
    ----------
    small
        State of a network with the same widths and fewer blocks.
    deep
        The deeper network with fresh weights.

    Raises
    ------
    ValueError
        When the two differ in more than the number of blocks.
    """
    state = dict(deep.state_dict())
    known = {match.group(0) for name in small if (match := _BLOCK.match(name))}
    for name, fresh in state.items():
        match = _BLOCK.match(name)
        if match is None or match.group(0) in known:
            if name not in small or small[name].shape != fresh.shape:
                raise ValueError(f"{name} differs in more than the number of blocks")
            state[name] = small[name]
        elif name.endswith("bn2.weight"):
            state[name] = torch.zeros_like(fresh)
    return state


def main() -> None:
    """Write the deeper bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name or folder of a bundle")
    parser.add_argument("trunk", help="timm name of the deeper trunk")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    bundle = find_single(arguments.model)
    network = bundle.load_network()
    tree = bundle.card.architecture
    trunk = tree.trunk.model_copy(update={"name": arguments.trunk})
    tree = tree.model_copy(update={"trunk": trunk})
    state = deepened(dict(network.state_dict()), build_network(tree))
    save_bundle(arguments.out, bundle.card.with_changes(architecture=tree), state)


if __name__ == "__main__":
    main()
