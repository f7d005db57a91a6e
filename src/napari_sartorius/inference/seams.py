"""Joins what overlapping tiles found, so that no cell is cut in two or counted twice.

Two tiles both see the window that they share, so the same cell must look the same *inside that
window*, even when one tile sees only part of it. Objects of one category whose masks agree there
(IoU of at least one half) are taken for the same cell. Then:

1. An object cut by its tile's border gives way to a whole one of the same cell, and to a whole one
   that covers most of what is left of it.
2. Cut objects that no tile sees whole (cells larger than the overlap) are merged, across as many
   tiles as they span, when at least one of the pieces is at home in its tile.
3. Of several whole views of a cell the one deepest inside its tile stays, because context on all
   sides makes it the most reliable.
4. An object that no other tile confirms stays only where its own tile is responsible (its core,
   widened a little for whole objects so that none is lost between two opinions of its centre).

Only objects that reach into a shared window are compared, so the work grows with the number of
objects, not with its square.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.inference.tiling import Rectangle, Tile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

# Masks that agree this much inside a shared window show the same cell.
_SAME_IOU = 0.5
# A cut piece covered this much by a whole object is part of it.
_COVERED = 0.75


def to_image_tile(tile: Tile, scale: tuple[float, float], image_size: tuple[int, int]) -> Tile:
    """Tile in image pixels.

    Parameters
    ----------
    tile
        In pixels of the network's input.
    scale : (y, x)
        Image pixels per network pixel.
    image_size : (height, width)
        Size of the image in its own pixels.
    """
    if scale == (1.0, 1.0):
        return tile

    def moved(part: Rectangle) -> Rectangle:
        return Rectangle(
            round(part.y0 * scale[0]),
            round(part.x0 * scale[1]),
            min(round(part.y1 * scale[0]), image_size[0]),
            min(round(part.x1 * scale[1]), image_size[1]),
        )

    return Tile(moved(tile.window), moved(tile.core), tile.inner)


def join_tiles(parts: Sequence[Instances], tiles: Sequence[Tile], margin: float) -> Instances:
    """Choose and merge the objects of overlapping tiles.

    Parameters
    ----------
    parts
        What was found in each tile, with masks and boxes in pixels of the whole image.
    tiles
        The tiles in pixels of the whole image, row by row.
    margin : float
        An object whose box comes this close to an inner border of its tile, in pixels, counts as
        cut; whole objects may lie this far outside their tile's core.

    Returns
    -------
    Instances
        One object per cell, in the order of the tiles; merged objects have the best score of
        their parts.
    """
    if len(parts) == 1:
        return parts[0]
    found = Instances.concatenate(parts)
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    cut, depth, outside = _places(found.boxes, owner, tiles, margin)
    links, covered = _compare(parts, tiles, cut)
    first, second = links[:, 0], links[:, 1]

    dropped = covered.copy()
    # 1. cut beside whole: the whole one stays.
    dropped[first[cut[first] & ~cut[second]]] = True
    dropped[second[cut[second] & ~cut[first]]] = True
    # 2. cut beside cut: merged below.
    both_cut = cut[first] & cut[second] & ~dropped[first] & ~dropped[second]
    groups = _groups(links[both_cut])
    merged = np.zeros(len(found), np.bool_)
    for group in groups:
        merged[group] = True
    # A cell beyond two borders has its middle at home in some tile; pieces that have not were cut
    # by one and the same border, and the tile beyond it has seen no such cell.
    groups = [group for group in groups if not outside[group].all()]
    # 3. whole beside whole: the deepest stays.
    dropped[_shallower(links[~cut[first] & ~cut[second]], depth)] = True
    # 4. unconfirmed: only at home.
    confirmed = np.zeros(len(found), np.bool_)
    confirmed[links.reshape(-1)] = True
    dropped |= ~confirmed & (outside > np.where(cut, 0.0, margin))
    keep = ~dropped & ~merged
    if not groups:
        return found[keep]
    return Instances.concatenate([found[keep], *(_merge(found[group]) for group in groups)])


def _places(
    boxes: NDArray[np.float32], owner: NDArray[np.int64], tiles: Sequence[Tile], margin: float
) -> tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]]:
    """Whether each object is cut, how deep its centre lies in its window, how far off its core."""
    windows = _as_xyxy([tile.window for tile in tiles])[owner]
    cores = _as_xyxy([tile.core for tile in tiles])[owner]
    inner = np.array([tile.inner for tile in tiles], np.bool_)[owner][:, [1, 0, 3, 2]]
    low, high = boxes[:, :2], boxes[:, 2:]
    gap = np.concatenate([low - windows[:, :2], windows[:, 2:] - high], axis=1)
    cut = np.any(inner & (gap < margin), axis=1)
    centre = (low + high) / 2
    room = np.concatenate([centre - windows[:, :2], windows[:, 2:] - centre], axis=1)
    depth = np.where(inner, room, np.inf).min(axis=1)
    off = np.maximum(cores[:, :2] - centre, centre - cores[:, 2:])
    return cut, depth, np.maximum(off, 0).max(axis=1)


def _as_xyxy(parts: list[Rectangle]) -> NDArray[np.float32]:
    return np.array([(p.x0, p.y0, p.x1, p.y1) for p in parts], np.float32)


def _compare(
    parts: Sequence[Instances], tiles: Sequence[Tile], cut: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Pairs that show the same cell, (P, 2), and which cut objects are part of a whole one."""
    offsets = np.cumsum([0, *(len(part) for part in parts)])
    covered = np.zeros(offsets[-1], np.bool_)
    pairs = [np.zeros((0, 2), np.int64)]
    for i, j, window in _shared_windows(tiles):
        if not len(parts[i]) or not len(parts[j]):
            continue
        corners = (window.x0, window.y0, window.x1, window.y1)
        one, in_one = parts[i].masks.crop(*corners)
        two, in_two = parts[j].masks.crop(*corners)
        rows, columns, shared = one.overlaps(two)
        a, b = np.flatnonzero(in_one)[rows], np.flatnonzero(in_two)[columns]
        alike = parts[i].categories[a] == parts[j].categories[b]
        a, b, shared = a[alike] + offsets[i], b[alike] + offsets[j], shared[alike]
        area_a, area_b = one.area()[rows[alike]], two.area()[columns[alike]]
        same = shared >= _SAME_IOU * (area_a + area_b - shared)
        pairs.append(np.stack([a[same], b[same]], axis=1))
        covered[a[cut[a] & ~cut[b] & (shared >= _COVERED * area_a)]] = True
        covered[b[cut[b] & ~cut[a] & (shared >= _COVERED * area_b)]] = True
    return np.concatenate(pairs), covered


def _shared_windows(tiles: Sequence[Tile]) -> Iterator[tuple[int, int, Rectangle]]:
    """Pairs of tiles that share pixels; tiles come row by row, so the search can stop early."""
    for i, tile in enumerate(tiles):
        for j in range(i + 1, len(tiles)):
            if tiles[j].window.y0 >= tile.window.y1:
                break
            window = tile.window.intersection(tiles[j].window)
            if window is not None:
                yield i, j, window


def _groups(links: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Connected groups of at least two objects, each ascending."""
    if not len(links):
        return []
    nodes, ends = np.unique(links, return_inverse=True)
    ends = ends.reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (len(nodes), len(nodes)))
    count, group = connected_components(graph, directed=False)
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group, minlength=count)
    return np.split(nodes[order], np.cumsum(sizes)[:-1])


def _shallower(links: NDArray[np.int64], depth: NDArray[np.float32]) -> list[int]:
    """Objects to drop: deepest first, each object that stays drops those linked to it."""
    neighbours: dict[int, list[int]] = {}
    for a, b in links.tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    dropped: set[int] = set()
    for node in sorted(neighbours, key=lambda n: (-depth[n], n)):
        if node not in dropped:
            dropped.update(neighbours[node])
    return sorted(dropped)


def _merge(pieces: Instances) -> Instances:
    """One object from the pieces of a cell that no tile sees whole."""
    boxes = pieces.masks.boxes
    x0, y0 = boxes[:, :2].min(axis=0)
    x1, y1 = boxes[:, 2:].max(axis=0)
    bitmap = np.zeros((y1 - y0, x1 - x0), np.bool_)
    for piece, (left, top, right, bottom) in zip(
        pieces.masks, boxes - [x0, y0, x0, y0], strict=True
    ):
        bitmap[top:bottom, left:right] |= piece
    best = int(np.argmax(pieces.scores))
    low, high = pieces.boxes[:, :2].min(axis=0), pieces.boxes[:, 2:].max(axis=0)
    result = pieces[[best]]
    result.masks = CropMasks.from_bitmaps([bitmap], [(x0, y0)], pieces.image_size)
    result.boxes = np.concatenate([low, high])[None]
    return result
