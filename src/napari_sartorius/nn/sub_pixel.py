"""A 2x2 transposed convolution of stride 2 and a 1x1 convolution as two products by pixel.

Such a transposed convolution gives every input pixel four output pixels that no other input pixel
touches: one product per pixel makes all of them. A 1x1 convolution looks at one pixel alone, so the
four may stay beside each other until only the few maps of the answer have to be put in order.
Kernels for transposed convolutions write the wide maps in order first, several times more memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor, nn


def doubled_logits(hidden: Tensor, upsample: nn.ConvTranspose2d, predictor: nn.Conv2d) -> Tensor:
    """What ``predictor(relu(upsample(hidden)))`` gives, up to the rounding of another order.

    Parameters
    ----------
    hidden
        (N, C, H, W); quickest with channels last in memory.
    upsample
        Kernel 2, stride 2, with a bias, no groups, no padding.
    predictor
        Kernel 1, with a bias.

    Returns
    -------
    Tensor
        (N, K, 2 H, 2 W).
    """
    count, channels, rows, columns = hidden.shape
    width = upsample.out_channels
    assert upsample.bias is not None
    # (C, width, 2, 2) as (2, 2, width, C): the four pixels lie one after the other.
    spread = upsample.weight.permute(2, 3, 1, 0).reshape(4 * width, channels, 1, 1)
    four = functional.conv2d(hidden, spread, upsample.bias.repeat(4))
    pixels = functional.relu(four.permute(0, 2, 3, 1).reshape(-1, width), inplace=True)
    maps = functional.linear(pixels, predictor.weight.flatten(1), predictor.bias)
    kinds = predictor.out_channels
    in_order = maps.view(count, rows, columns, 2, 2, kinds).permute(0, 5, 1, 3, 2, 4)
    return in_order.reshape(count, kinds, 2 * rows, 2 * columns)
