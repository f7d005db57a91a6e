"""Objects that are too large for a cell: refused where something tells so, else only told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from annotated_discs import SIDE, dataset_of_masks, disc, discs
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.io.coco import read_coco
from napari_sartorius.training.doctor.before_training import examine
from napari_sartorius.training.doctor.check import check_dataset
from napari_sartorius.training.doctor.config import DoctorConfig

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.io.coco import CocoDataset


def _block(share: float) -> NDArray[np.bool_]:
    """A square that covers a share of the image."""
    mask = np.zeros((SIDE, SIDE), bool)
    side = round(SIDE * share**0.5)
    mask[:side, :side] = True
    return mask


def _background() -> NDArray[np.bool_]:
    """All but some small cells: about 88 % of the image."""
    return ~np.any(discs(5), axis=0)


def _giants(dataset: CocoDataset, diameter: float | None = None) -> list[tuple[str, str | None]]:
    report = check_dataset(dataset, model_diameter=diameter)
    return [(one.severity, one.image) for one in report.findings if one.kind == "giant"]


def test_a_labelled_background_is_refused_beside_cells(tmp_path: Path) -> None:
    dataset = dataset_of_masks(tmp_path, [[*discs(5), _background()], discs(5)])
    assert _giants(dataset) == [("error", "0.png")]
    words = (
        r"0\.png: one object covers 8\d% of the image, as a labelled background does; use labels "
        r"with a number per cell, delete a labelled background, or split the object"
    )
    with pytest.raises(UserError, match=words):
        examine(dataset, Monitor())


def test_a_large_object_beside_cells_is_told(tmp_path: Path) -> None:
    dataset = dataset_of_masks(tmp_path, [[_block(0.6), disc(58, 58, 3)], discs(3)])
    assert _giants(dataset) == [("warning", "0.png")]
    dataset = dataset_of_masks(tmp_path, [[_block(0.4), disc(58, 58, 3)], discs(3)])
    assert _giants(dataset) == []


def test_an_only_object_is_measured_by_the_cells_of_other_images(tmp_path: Path) -> None:
    dataset = dataset_of_masks(tmp_path, [[_block(0.36)], discs(3), discs(3)])
    assert _giants(dataset) == [("error", "0.png")]
    words = "covers 35% of the image, 50 times as much as the cells in the other images; use"
    with pytest.raises(UserError, match=words):
        examine(dataset, Monitor())
    large = dataset_of_masks(tmp_path, [[_block(0.36)], discs(8), discs(8)])
    assert _giants(large) == []
    small = dataset_of_masks(tmp_path, [[_block(0.15)], discs(1), discs(1)])
    assert _giants(small) == []


def test_an_only_object_is_measured_by_the_cells_of_the_model(tmp_path: Path) -> None:
    dataset = dataset_of_masks(tmp_path, [[_block(0.36)]] * 3)
    assert _giants(dataset, 8.0) == [("error", f"{n}.png") for n in range(3)]
    assert _giants(dataset, 30.0) == []
    with pytest.raises(UserError, match=r"times as much as the model's cells"):
        examine(dataset, Monitor(), model_diameter=8.0)


def test_images_with_several_cells_tell_more_than_the_model(tmp_path: Path) -> None:
    dataset = dataset_of_masks(tmp_path, [[_block(0.36)], [disc(16, 16, 15), disc(48, 48, 15)] * 2])
    assert _giants(dataset, 4.0) == []


def test_where_nothing_tells_how_large_cells_are_it_is_a_warning(tmp_path: Path) -> None:
    """Pictures of one large cell each are learnt from; two specks say nothing against it."""
    dataset = dataset_of_masks(tmp_path, [[_block(0.36)]] * 4)
    assert _giants(dataset) == [("warning", f"{n}.png") for n in range(4)]
    examine(dataset, Monitor())
    specks = dataset_of_masks(tmp_path, [[_block(0.36)], [disc(9, 9, 1), disc(30, 30, 1)]])
    assert _giants(specks) == [("warning", "0.png")]


def test_another_kind_of_cell_says_nothing_about_size(tmp_path: Path) -> None:
    frames = [[_block(0.36)], discs(3)]
    dataset = dataset_of_masks(tmp_path, frames, names=("organoid", "cell"))
    assert _giants(dataset) == [("warning", "0.png")]


def test_regions_of_a_crowd_are_no_cells(tmp_path: Path) -> None:
    dataset = dataset_of_masks(tmp_path, [[*discs(5), _background()], discs(5)])
    dataset.instances[1].columns["iscrowd"] = np.array([0] * 6 + [1])
    assert _giants(dataset) == []


def test_masks_of_all_cells_together_are_told_where_no_image_tells_cells_apart(
    tmp_path: Path,
) -> None:
    together = np.any([disc(10, 10, 4), disc(30, 30, 4), disc(50, 50, 4)], axis=0)
    alone = dataset_of_masks(tmp_path, [[together]] * 2)
    assert _giants(alone) == [("warning", "0.png"), ("warning", "1.png")]
    many = np.any([disc(6 + 14 * (n % 4), 6 + 14 * (n // 4), 3) for n in range(12)], axis=0)
    assert _giants(dataset_of_masks(tmp_path, [[many]] * 2)) == [
        ("error", "0.png"),
        ("error", "1.png"),
    ]
    # one image tells cells apart: then a cell may lie in pieces
    assert _giants(dataset_of_masks(tmp_path, [[together], discs(4)])) == []


def test_limits_can_be_changed(tmp_path: Path) -> None:
    dataset = dataset_of_masks(tmp_path, [[_block(0.36)], discs(3), discs(3)])
    loose = DoctorConfig(alone_share=0.4)
    assert "giant" not in check_dataset(dataset, loose).kinds()


@pytest.mark.parametrize("name", ["sartorius", "dsb2018", "livecell"])
def test_no_real_image_has_a_giant(shared_data: Path, name: str) -> None:
    dataset = read_coco(shared_data / name / "annotations.json")
    few = dataset.select(lambda image: len(dataset.instances[image.id]) < 60)
    report = check_dataset(few, DoctorConfig(quick_images=60), quick=True, model_diameter=15.0)
    assert "giant" not in report.kinds()


def test_small_cells_that_are_alone_tell_how_large_cells_are(tmp_path: Path) -> None:
    frames = [[_block(0.36)], *[[disc(30, 30, radius)] for radius in (3, 4, 5)]]
    assert _giants(dataset_of_masks(tmp_path, frames)) == [("error", "0.png")]
