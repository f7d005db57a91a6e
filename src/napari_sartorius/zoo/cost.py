"""What one look of a model costs: arithmetic on a standard image, counted and not timed.

Counts do not depend on what else a computer does, so a card says the same everywhere. Times on one
machine follow them to a factor of about two: networks differ in how well they use the hardware.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sartorius.zoo.bundle import ModelBundle
    from napari_sartorius.zoo.card import ModelCard

STANDARD_SIZE = (520, 704)
"""(height, width) of the image on which costs are compared, as those of the challenge."""

# Counting on half of each edge is four times as quick, and heads weigh about as much.
_EDGE_SHARE = 0.5


def measure_cost(bundle: ModelBundle) -> float:
    """Multiplications and additions, 10^9, of one look at an image of `STANDARD_SIZE`.

    The network is loaded and run once, so this is also a test of the weights. Imports torch.

    Raises
    ------
    UserError
        When the weights are damaged.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    network: Any = bundle.load_network()
    batch = _standard_batch(bundle.card, network.size_divisibility)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        if bundle.card.is_classifier:
            network.classify(batch)
        else:
            network.detect(batch)
    count: float = counter.get_total_flops()
    # A classifier brings every image to its own size, however large.
    share = 1.0 if bundle.card.is_classifier else _EDGE_SHARE**2
    return max(count / share / 1e9, 1e-6)


def default_scale(card: ModelCard, size: tuple[int, int] = STANDARD_SIZE) -> float:
    """Network pixels per image pixel when nobody names a size of the cells."""
    if card.image_diameter is not None:
        return card.cell_diameter / card.image_diameter
    return 1.0 if card.input_size is None else card.input_size.factor(size)


def _standard_batch(card: ModelCard, stride: int) -> Any:
    import torch

    scale = default_scale(card) * _EDGE_SHARE
    height, width = (-(-round(side * scale) // stride) * stride for side in STANDARD_SIZE)
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(
        1, card.input_channels, height // 8 + 1, width // 8 + 1, generator=generator
    )
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
