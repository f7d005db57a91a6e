"""Results in another folder than their images still lead to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.io.coco import CocoDataset, CocoImage

if TYPE_CHECKING:
    from pathlib import Path


def test_an_image_is_looked_up_beside_then_by_its_source_then_below_the_root(
    tmp_path: Path,
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    with_source = CocoImage(1, "a.png", 4, 4, {"source": "../images/a.png"})
    plain = CocoImage(2, "b.png", 4, 4)
    dataset = CocoDataset([with_source, plain], [], {}, {"image_root": "../images"}, results)
    assert dataset.image_path(with_source) == results / "../images/a.png"
    assert dataset.image_path(plain) == results / "../images/b.png"
    (results / "a.png").write_bytes(b"x")
    assert dataset.image_path(with_source) == results / "a.png"
