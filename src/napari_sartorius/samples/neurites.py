"""Neurites for the generated scene: many thin processes that wander, fork and fade."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_STEP = 0.5  # pixels a growing tip moves at a time


def grow_neurites(
    rng: np.random.Generator,
    thickness: NDArray[np.float32],
    somas: Sequence[tuple[float, float, float]],
) -> None:
    """Draw the processes of all cells, and some of cells far away, into a map of thickness.

    Parameters
    ----------
    rng : numpy Generator
        Source of all chance.
    thickness : (H, W) float32
        Optical thickness, changed in place; neurites add about 0.1 to 0.9.
    somas : sequence of (y, x, radius)
        Cell bodies in pixels; between 8 and 25 processes leave each.
    """
    height, width = thickness.shape
    tips = [_leave_soma(rng, soma) for soma in somas]
    tips.append(_cross_field(rng, round(height * width / 900), height, width))
    y, x, heading, strength, length = np.concatenate(tips, axis=1)
    # A third of them forks: the branch starts as a copy that turns another way on its own.
    forks = np.flatnonzero(rng.random(y.size) < 0.35)
    wait = np.concatenate([np.zeros(y.size), rng.uniform(20, 80, forks.size)])
    y, x = np.concatenate([y, y[forks]]), np.concatenate([x, x[forks]])
    heading = np.concatenate([heading, heading[forks]])
    length = np.concatenate([length, length[forks]])
    strength = np.concatenate([strength, 0.7 * strength[forks]])
    _walk(rng, thickness, y, x, heading, strength, length, wait)


def _leave_soma(rng: np.random.Generator, soma: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return (5, n) tips at the rim of a cell body: y, x, heading, strength, length."""
    y, x, radius = soma
    count = int(rng.integers(8, 26))
    heading = rng.uniform(0, 2 * np.pi, count)
    strength = rng.uniform(0.15, 0.4, count)
    length = rng.gamma(2.0, 25.0, count) + 12
    long = rng.random(count) < 0.25
    strength[long] *= 1.7
    length[long] *= 3.0
    rim = 0.8 * radius
    return np.stack(
        [y + rim * np.sin(heading), x + rim * np.cos(heading), heading, strength, length]
    )


def _cross_field(
    rng: np.random.Generator, count: int, height: int, width: int
) -> NDArray[np.float64]:
    """Return (5, n) tips of processes whose cells lie elsewhere."""
    return np.stack(
        [
            rng.uniform(0, height, count),
            rng.uniform(0, width, count),
            rng.uniform(0, 2 * np.pi, count),
            rng.uniform(0.05, 0.25, count),
            rng.gamma(2.5, 40.0, count),
        ]
    )


def _walk(
    rng: np.random.Generator,
    thickness: NDArray[np.float32],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    heading: NDArray[np.float64],
    strength: NDArray[np.float64],
    length: NDArray[np.float64],
    wait: NDArray[np.float64],
) -> None:
    """Let all tips grow together, each leaving a soft trace until its length is used up."""
    height, width = thickness.shape
    trace = np.zeros_like(thickness)
    turning = np.zeros_like(heading)
    bend = rng.normal(0, 0.0025, heading.size)
    for step in range(int(length.max(initial=0) / _STEP)):
        grown = step * _STEP
        inside = (y > 1) & (y < height - 2) & (x > 1) & (x < width - 2)
        alive = np.flatnonzero((grown < length) & inside)
        if alive.size == 0:
            break
        turning[alive] = 0.7 * turning[alive] + rng.normal(0, 0.018, alive.size)
        forking = np.abs(grown - wait[alive]) < _STEP / 2
        heading[alive] += turning[alive] + bend[alive]
        heading[alive] += forking * rng.choice((-0.6, 0.6), alive.size)
        y[alive] += _STEP * np.sin(heading[alive])
        x[alive] += _STEP * np.cos(heading[alive])
        drawn = alive[grown >= wait[alive]]
        fading = strength[drawn] * (1 - 0.75 * grown / length[drawn])
        beads = 1 + 3.0 * (rng.random(drawn.size) < 0.02)
        _splat(trace, y[drawn], x[drawn], (_STEP * fading * beads).astype(np.float32))
    thickness += trace


def _splat(
    trace: NDArray[np.float32],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    amount: NDArray[np.float32],
) -> None:
    """Share an amount among the four pixels around each point, by distance."""
    row, column = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    part_y, part_x = (y - row).astype(np.float32), (x - column).astype(np.float32)
    for down, share_y in ((0, 1 - part_y), (1, part_y)):
        for right, share_x in ((0, 1 - part_x), (1, part_x)):
            np.add.at(trace, (row + down, column + right), amount * share_y * share_x)
