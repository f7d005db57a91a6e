"""How much of an image the network may see at once, and what to do when it was too much."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_sartorius.inference.device import free_memory
from napari_sartorius.inference.tiling import TilePlan, automatic_limits, largest_tile, plan_tiles

if TYPE_CHECKING:
    from napari_sartorius.inference.config import SegmentConfig

# Peak bytes per input pixel in float32: 600 to 900 measured for the bundled networks, 1500 for a
# ResNet-50 without stem stride; the processor's caches and a card's workspaces want a reserve.
BYTES_PER_PIXEL = 2000
# The processor's memory is shared with everything else that the user has open.
_CPU_BUDGET = 2 << 30
_SHARE_OF_FREE = 0.5
_LARGEST_BATCH = 8
# Smaller tiles would be mostly overlap.
SMALLEST_EDGE = 256


@dataclass(frozen=True)
class Effort:
    """What is tried: a device, how many looks at tiles at once, and the largest edge of a tile.

    Attributes
    ----------
    device
        Where the network runs.
    batch, edge
        Upper limits learnt from failures; None while there was none.
    one_by_one
        Whether of several networks only the one that looks is on the device.
    """

    device: str
    batch: int | None = None
    edge: int | None = None
    one_by_one: bool = False

    def reduced(self, batch: int, edge: int, *, several: bool = False) -> tuple[Effort, str] | None:
        """Return the next thing to try after running out of memory, and the words for the user.

        Parameters
        ----------
        batch, edge
            What did not fit.
        several
            Whether there are several networks, which can take turns on the device.
        """
        if several and not self.one_by_one and self.device != "cpu":
            return (
                replace(self, one_by_one=True),
                f"memory ran out on {self.device}; going on with one network on it at a time",
            )
        if batch > 1:
            return (
                replace(self, batch=batch // 2),
                f"memory ran out on {self.device}; going on with {batch // 2} instead of {batch} "
                "looks at tiles at once",
            )
        if edge > SMALLEST_EDGE:
            smaller = max(SMALLEST_EDGE, edge // 2)
            return (
                replace(self, edge=smaller),
                f"memory ran out on {self.device}; going on with tiles of {smaller} instead of "
                f"{edge} pixels",
            )
        if self.device != "cpu":
            return (
                Effort("cpu"),
                f"memory ran out on {self.device} even with the smallest tiles; going on on the "
                "processor, which is slower",
            )
        return None


def plan(
    image_size: tuple[int, int],
    config: SegmentConfig,
    effort: Effort,
    *,
    scale: float,
    overlap: int,
    stride: int,
    whole: int = 0,
    views: int = 1,
    growth: float = 1.0,
) -> tuple[TilePlan, int]:
    """Lay out the tiles and decide how many looks go through the network at once.

    Parameters
    ----------
    image_size : (height, width)
        Size of the network's input image.
    config
        Holds the user's wish for tiles, in pixels of the image.
    effort
        The device, and limits learnt from running out of memory.
    scale : float
        Network pixels per image pixel.
    overlap, stride : int
        As in `plan_tiles`.
    whole : int
        As in `automatic_limits`.
    views : int
        Looks at each tile.
    growth : float
        How much more memory a pixel takes than with one network and one view of usual scale.
    """
    per_pixel = BYTES_PER_PIXEL * growth
    budget = int(free_memory(effort.device) * _SHARE_OF_FREE)
    if effort.device == "cpu":
        budget = min(budget, _CPU_BUDGET)
    if config.tile == "off":
        limits = image_size
    elif config.tile == "auto":
        edge = largest_tile(budget, per_pixel, stride)
        largest = int((budget / per_pixel) ** 0.5)
        limits = automatic_limits(image_size, edge, largest, whole)
    else:
        limits = (max(round(config.tile * scale), 2 * stride),) * 2
    if effort.edge is not None:
        limits = min(limits[0], effort.edge), min(limits[1], effort.edge)
    tiles = plan_tiles(image_size, limits, overlap, stride)
    fitting = int(budget / per_pixel / (tiles.padded[0] * tiles.padded[1]))
    return tiles, _batch(len(tiles.tiles) * views, fitting, effort)


def _batch(looks: int, fitting: int, effort: Effort) -> int:
    if effort.device == "cpu":
        # Batches are no faster there, and Cancel would wait longer.
        return 1
    return max(1, min(fitting, looks, effort.batch or _LARGEST_BATCH))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; nothing else is blamed on memory."""
    if isinstance(error, MemoryError):
        return True
    import torch

    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "out of memory" in text
        or "allocate memory" in text
        or "not enough memory" in text
        or "ALLOC_FAILED" in text
        # oneDNN, when nothing is left for the code that it makes; with "descriptor" behind it it
        # means that it does not know how.
        or text == "could not create a primitive"
    )


def release(device: str) -> None:
    """Give cached memory of a device back, so that the next try starts afresh."""
    import gc

    import torch

    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
