"""A part of an image is looked at as in the whole: limits that grow with images shrink too."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.inference.tiling import plan_tiles, split_tile
from napari_sartorius.io.coco import read_coco
from napari_sartorius.nn.config import FCOSConfig
from napari_sartorius.nn.detector import DetectLimits, growth_of
from napari_sartorius.nn.fcos_selection import TopK
from napari_sartorius.training.data import read_annotated
from napari_sartorius.zoo import find_single

if TYPE_CHECKING:
    from pathlib import Path


def test_limits_shrink_with_parts_only() -> None:
    assert growth_of((512, 512), 512 * 512, False) == 1
    assert growth_of((256, 256), 512 * 512, False) == 1
    assert growth_of((256, 256), 512 * 512, True) == 0.25
    assert growth_of((1024, 512), 512 * 512, False) == growth_of((1024, 512), 512 * 512, True) == 2
    config = FCOSConfig(topk_grows=True, topk_area=512 * 512)
    whole, part = (TopK.of(config, (256, 256), False, part) for part in (False, True))
    assert whole == TopK(config.pre_nms_topk_test, config.post_nms_topk_test)
    assert part == TopK(round(whole.before / 4), round(whole.after / 4))
    fixed = FCOSConfig(topk_grows=False)
    assert TopK.of(fixed, (64, 64), False, True) == TopK.of(fixed, (64, 64), False)


def test_what_is_looked_at_closer_has_the_limits_of_a_whole_image() -> None:
    (whole,) = plan_tiles((300, 300), (512, 512), 64, 16).tiles
    assert not whole.is_part
    tiles = plan_tiles((900, 900), (512, 512), 64, 16).tiles
    assert len(tiles) > 1
    assert all(tile.is_part for tile in tiles)
    closer = split_tile(tiles[0], 64, 16, 128)
    assert closer is not None
    assert not any(tile.is_part for tile in closer.tiles)


@pytest.mark.parametrize("tile", ["off", 256])
def test_the_network_is_told_that_it_sees_a_part(
    card: Any, disc_detector: Any, discs: Any, scattered: Any, tile: Any
) -> None:
    told: list[bool] = []

    class Listening(disc_detector):  # type: ignore[misc]
        def detect(self, batch: Any, limits: DetectLimits, *rest: Any) -> Any:
            told.append(limits.part)
            return super().detect(batch, limits, *rest)

    size = (420, 560)
    scene = discs(size, *scattered(size, 35, (6, 13), 1))
    config = SegmentConfig(device="cpu", precision="float32", preset="fast", tile=tile)
    Segmenter(cast("Any", SimpleNamespace(card=card)), config, Listening()).segment(scene)
    assert set(told) == {tile != "off"}


def test_neurons_in_small_tiles_are_those_of_the_whole_field(shared_data: Path) -> None:
    """With the limits of a whole image there would be a third more in such tiles."""
    dataset = read_coco(shared_data / "sartorius" / "annotations.json").split("val")
    image = next(one for one in dataset.images if one.extra["cell_type"] == "shsy5y")
    pixels = read_annotated(dataset, image)
    counts = [
        len(
            Segmenter(find_single("neurons"), SegmentConfig(device="cpu", preset="fast", tile=tile))
            .segment(pixels)
            .instances
        )
        for tile in ("off", 256)
    ]
    assert counts[0] > 150
    assert abs(counts[1] - counts[0]) <= 0.05 * counts[0]
