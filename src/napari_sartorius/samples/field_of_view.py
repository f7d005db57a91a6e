"""How many things a generated field of any size holds."""

from __future__ import annotations

_AREA = 520 * 704  # densities are given for a field of this many pixels


def relative_area(shape: tuple[int, int]) -> float:
    """Area of a (height, width) field in fields of 520 x 704 pixels.

    Raises
    ------
    ValueError
        If `shape` is smaller than 32 x 32.
    """
    height, width = shape
    if min(shape) < 32:
        raise ValueError(f"the scene needs at least 32 x 32 pixels, got {height} x {width}")
    return height * width / _AREA


def cells_wished(shape: tuple[int, int], usual: float, cells: int | None) -> int:
    """Number of cells for a field: `cells`, or `usual` for every 520 x 704 pixels when None.

    Raises
    ------
    ValueError
        If `shape` is smaller than 32 x 32 or `cells` is negative.
    """
    density = relative_area(shape)
    wished = round(usual * density) if cells is None else cells
    if wished < 0:
        raise ValueError(f"the number of cells cannot be negative, got {wished}")
    return wished
