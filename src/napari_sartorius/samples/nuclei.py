"""Generated pictures of nuclei: fluorescent, stained tissue, pale smears, immunostained tissue.

They are no imitation of any data set; they show what such pictures have in common, in many sizes,
densities and exposures: enough to remind a model that knows nuclei of what it knows. Everything
comes from one seed, so the ground truth is exact and a picture never changes.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from napari_sartorius.core.categories import Category
from napari_sartorius.core.channels import ABSORPTION
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks

Look = Literal["fluorescence", "stained", "smear", "immunostained"]
LOOKS: tuple[Look, ...] = get_args(Look)

CATEGORIES = (Category(1, "nucleus", "#56b4e9"),)

Field = NDArray[np.float32]

# Red, green, blue of light that passed, 0..1: background and nucleus, between which stains vary.
_PAPER = ((0.93, 0.90, 0.94), (0.72, 0.63, 0.82), (0.95, 0.72, 0.84))
_STAIN = ((0.42, 0.18, 0.55), (0.28, 0.16, 0.62), (0.50, 0.28, 0.62))


def nuclei_scene(
    look: Look, shape: tuple[int, int] = (256, 256), seed: int = 0
) -> tuple[NDArray[np.uint8], Instances]:
    """Generate a picture of nuclei with its ground truth.

    Parameters
    ----------
    look : str
        ``fluorescence``: bright on black; ``stained``: purple on pale or pink; ``smear``: grey,
        small dark nuclei in large pale cells; ``immunostained``: blue, in part among cells whose
        bodies and borders are brown.
    shape : (height, width)
        Size in pixels, at least 32 x 32.
    seed : int
        The same seed always gives the same picture; size, density and exposure are drawn from it.

    Returns
    -------
    image : (height, width) or (height, width, 3) uint8
        Grey, or RGB for ``stained`` and ``immunostained``.
    truth : Instances
        One mask per nucleus, none overlapping; categories index `CATEGORIES`.

    Raises
    ------
    ValueError
        If `shape` is smaller than 32 x 32 or there is no such look.
    """
    if min(shape) < 32:
        raise ValueError(f"a picture needs at least 32 x 32 pixels, got {shape}")
    if look not in LOOKS:
        raise ValueError(f"there is no look {look!r}, expected one of {', '.join(LOOKS)}")
    rng = np.random.default_rng((seed, LOOKS.index(look)))
    if look == "immunostained":
        picture, masks = _immunostained(rng, shape)
        return _whole(picture), Instances.from_masks(masks)
    diameter = float(np.exp(rng.uniform(np.log(11), np.log(20 if look == "smear" else 42))))
    crowd = float(rng.uniform(0.04, 0.1) if look == "smear" else rng.uniform(0.08, 0.4))
    layer, masks = _nuclei(rng, shape, diameter, crowd)
    if look == "fluorescence":
        picture = _glowing(rng, layer, diameter)
    elif look == "stained":
        picture = _stained(rng, layer, diameter)
    else:
        picture = _smear(rng, layer, masks, diameter)
    return _whole(picture), Instances.from_masks(masks)


def _whole(picture: Field) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


def _nuclei(
    rng: np.random.Generator,
    shape: tuple[int, int],
    diameter: float,
    crowd: float,
    longest: float = 1.9,
    way: float | None = None,
) -> tuple[Field, CropMasks]:
    """How dense every pixel is, 0..1, and the nuclei, of which `crowd` is the share of the area.

    The longest are `longest` times as long as wide; `way` (radians) is the direction that most lie
    in, None for any.
    """
    height, width = shape
    layer = np.zeros(shape, np.float32)
    free = np.ones(shape, bool)
    bitmaps: list[NDArray[np.bool_]] = []
    origins: list[tuple[int, int]] = []
    clumped, y, x = rng.uniform(0, 0.6), 0.0, 0.0
    wished = max(3, round(crowd * height * width / (np.pi / 4 * diameter**2)))
    for _ in range(wished):
        radius = diameter / 2 * float(np.clip(rng.normal(1, 0.18), 0.6, 1.6))
        if origins and rng.random() < clumped:  # right beside another one
            angle, far = rng.uniform(0, 2 * np.pi), (radius + diameter / 2) * rng.uniform(0.85, 1.1)
            y, x = float(y + far * np.sin(angle)), float(x + far * np.cos(angle))
        else:
            y, x = rng.uniform(0, height), rng.uniform(0, width)
        if not (0 <= y < height and 0 <= x < width):
            y, x = rng.uniform(0, height), rng.uniform(0, width)
        reach = int(radius * max(1.8, 1.1 * np.sqrt(longest))) + 3
        y0, x0 = max(0, int(y) - reach), max(0, int(x) - reach)
        y1, x1 = min(height, int(y) + reach), min(width, int(x) + reach)
        body = _outline(rng, np.mgrid[y0:y1, x0:x1], (y, x), radius, longest, way)
        seen = body > 0.5
        window = free[y0:y1, x0:x1]
        # Nuclei touch, and lie on each other a little.
        if not seen.any() or np.count_nonzero(seen & ~window) > 0.08 * np.count_nonzero(seen):
            continue
        mask = seen & window
        if rng.random() < 0.2:  # out of focus
            body = ndimage.gaussian_filter(body, radius * rng.uniform(0.1, 0.25))
        grain = ndimage.gaussian_filter(rng.standard_normal(body.shape), max(0.8, radius / 6))
        grain = 1 + rng.uniform(0.05, 0.25) * grain / max(float(grain.std()), 1e-6)
        body = body * grain * rng.uniform(0.2, 1.0)
        np.maximum(layer[y0:y1, x0:x1], body, out=layer[y0:y1, x0:x1])
        free[y0:y1, x0:x1] &= ~mask
        bitmaps.append(mask)
        origins.append((x0, y0))
    return layer, CropMasks.from_bitmaps(bitmaps, np.array(origins).reshape(-1, 2), shape).tight()


def _outline(
    rng: np.random.Generator,
    grid: NDArray[np.int64],
    centre: tuple[float, float],
    radius: float,
    longest: float = 1.9,
    way: float | None = None,
) -> Field:
    """An ellipse with a slightly lobed edge: 1 inside, 0 outside, a smooth step between."""
    dy, dx = grid[0] + 0.5 - centre[0], grid[1] + 0.5 - centre[1]
    turn = rng.uniform(0, np.pi) if way is None else way + rng.normal(0, 0.35)
    stretch = np.sqrt(rng.uniform(1.0, longest))
    along = (dx * np.cos(turn) + dy * np.sin(turn)) / stretch
    across = (dy * np.cos(turn) - dx * np.sin(turn)) * stretch
    angle = np.arctan2(across, along)
    edge = 1 + 0.05 * np.cos(3 * angle + rng.uniform(0, 6)) * rng.uniform(0, 1)
    inside = radius * edge - np.hypot(along, across)
    return np.asarray(np.clip(inside / 1.5 + 0.5, 0, 1), np.float32)


def _glowing(rng: np.random.Generator, layer: Field, diameter: float) -> Field:
    """Bright on black, with the light that comes from out of focus, and noise of few photons."""
    sharp = ndimage.gaussian_filter(layer, rng.uniform(0.5, 1.5))
    haze = ndimage.gaussian_filter(layer, diameter * rng.uniform(0.4, 1.2))
    light = sharp + rng.uniform(0.0, 0.2) * haze
    peak, floor = rng.uniform(30, 230), rng.uniform(2, 20)
    noise = rng.standard_normal(layer.shape) * np.sqrt(light + 0.05) * rng.uniform(0.5, 6)
    return np.asarray(floor + peak * light + noise, np.float32)


def _stained(rng: np.random.Generator, layer: Field, diameter: float) -> Field:
    """Purple on pale or pink: light that stain lets pass, uneven where tissue is."""
    which = int(rng.integers(len(_PAPER)))
    paper = np.array(_PAPER[which]) + rng.normal(0, 0.02, 3)
    stain = np.array(_STAIN[int(rng.integers(len(_STAIN)))]) + rng.normal(0, 0.03, 3)
    tissue = ndimage.gaussian_filter(rng.standard_normal(layer.shape), diameter * 0.7)
    tissue = rng.uniform(0, 0.16) * np.clip(tissue / max(float(tissue.std()), 1e-6), 0, 2)
    dense = ndimage.gaussian_filter(layer, rng.uniform(0.6, 1.4))[..., None]
    light = paper * (1 - tissue[..., None] * np.array((0.35, 1.0, 0.4)))
    light = light * (1 - dense) + light * stain * dense * rng.uniform(0.9, 1.2)
    noise = rng.standard_normal(light.shape) * rng.uniform(0.003, 0.02)
    return np.asarray(255 * (light + noise), np.float32)


def _smear(rng: np.random.Generator, layer: Field, masks: CropMasks, diameter: float) -> Field:
    """Grey: each nucleus in a large pale cell of uneven outline, some cells on each other."""
    cells = np.zeros_like(layer)
    height, width = layer.shape
    for x0, y0, x1, y1 in masks.boxes.tolist():
        y, x = (y0 + y1) / 2, (x0 + x1) / 2
        radius = diameter * rng.uniform(1.3, 2.6)
        reach = int(2 * radius)
        top, left = max(0, int(y) - reach), max(0, int(x) - reach)
        bottom, right = min(height, int(y) + reach), min(width, int(x) + reach)
        place = (y + rng.normal(0, radius / 5), x + rng.normal(0, radius / 5))
        cells[top:bottom, left:right] += rng.uniform(0.1, 0.3) * _outline(
            rng, np.mgrid[top:bottom, left:right], place, radius
        )
    light = rng.uniform(200, 240) * np.exp(-cells)
    light *= 1 - rng.uniform(0.4, 0.75) * ndimage.gaussian_filter(layer, rng.uniform(0.6, 1.3))
    return np.asarray(light + rng.normal(0, rng.uniform(1, 4), layer.shape), np.float32)


def _immunostained(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Field, CropMasks]:
    """Blue nuclei; where there is epithelium, brown cell bodies with darker borders around them.

    Cells of epithelium stand side by side, so that their nuclei and bodies point one way.
    """
    diameter = float(np.exp(rng.uniform(np.log(8), np.log(28))))
    way = float(rng.uniform(0, np.pi))
    aligned = way if rng.random() < 0.6 else None
    crowd, longest = float(rng.uniform(0.12, 0.6)), float(rng.uniform(1.4, 4.0))
    layer, masks = _nuclei(rng, shape, diameter, crowd, longest, aligned)
    epithelium = _blobs(rng, shape, diameter * rng.uniform(1.5, 5)) > rng.uniform(-2.0, 0.8)
    here = ndimage.gaussian_filter(epithelium.astype(np.float32), 1.5)
    streaks = _streaks(rng, shape, diameter, way)
    covered = ndimage.gaussian_filter((masks.to_labels() > 0).astype(np.float32), 1.0)
    brown = rng.uniform(0.25, 0.9) * (1 + rng.uniform(0.1, 0.45) * streaks)
    brown = brown + rng.uniform(0.1, 0.8) * _borders(masks, rng.uniform(0.6, 1.6))
    brown = brown * (1 - rng.uniform(0.3, 0.85) * covered) * here
    # In stained cells nuclei are paler, and what lies above and below them shows.
    blue = ndimage.gaussian_filter(layer, rng.uniform(0.5, 1.2))
    blue = rng.uniform(0.35, 0.9) * blue * (1 - rng.uniform(0.0, 0.7) * here)
    fibres = np.clip(_streaks(rng, shape, diameter / 2, way + rng.normal(0, 0.5)), 0, 2)
    blue = blue + rng.uniform(0.0, 0.06) * fibres * (1 - here) + rng.uniform(0, 0.04)
    dyes = np.stack([blue, np.clip(brown, 0, None) + rng.uniform(0, 0.05)], axis=-1)
    tints = ABSORPTION[[0, 2]] + rng.normal(0, 0.02, (2, 3))
    light = rng.uniform(0.88, 0.97) * np.power(10.0, -(dyes @ tints))
    light = ndimage.gaussian_filter(light, (rng.uniform(0.0, 0.8),) * 2 + (0,))
    noise = rng.standard_normal(light.shape) * rng.uniform(0.003, 0.02)
    return np.asarray(255 * (light + noise), np.float32), masks


def _blobs(rng: np.random.Generator, shape: tuple[int, ...], size: float) -> Field:
    """Smooth noise of mean 0 and standard deviation 1."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), size, mode="wrap")
    return np.asarray(noise / max(float(noise.std()), 1e-9), np.float32)


def _streaks(rng: np.random.Generator, shape: tuple[int, ...], size: float, way: float) -> Field:
    """Noise that is drawn out in one direction (radians), of mean 0 and standard deviation 1."""
    far = int(2 * size) + 2
    y, x = np.mgrid[-far : far + 1, -far : far + 1]
    along, across = x * np.cos(way) + y * np.sin(way), y * np.cos(way) - x * np.sin(way)
    kernel = np.exp(-((along / size) ** 2) / 2 - (across / max(0.7, size / 10)) ** 2 / 2)
    noise = signal.fftconvolve(rng.standard_normal(shape), kernel, mode="same")
    return np.asarray(noise / max(float(noise.std()), 1e-9), np.float32)


def _borders(masks: CropMasks, width: float) -> Field:
    """Lines half way between neighbouring nuclei, 0..1."""
    labels = masks.to_labels()
    nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)[1]
    cells = labels[tuple(nearest)]
    lines = np.zeros(labels.shape, np.float32)
    lines[:-1] = cells[:-1] != cells[1:]
    lines[:, :-1] = np.maximum(lines[:, :-1], cells[:, :-1] != cells[:, 1:])
    drawn = ndimage.gaussian_filter(lines, width)
    return np.asarray(drawn / max(float(drawn.max()), 1e-6), np.float32)
