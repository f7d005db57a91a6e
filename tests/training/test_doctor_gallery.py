"""Pictures of what does not lie on one image: annotations that leave it, and equal images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from annotated_discs import SIDE, dataset_of_masks, discs
from napari_sartorius.io.coco import write_coco
from napari_sartorius.training.doctor.check import check_dataset, read_for_check
from napari_sartorius.training.doctor.drawing import side_by_side, with_record
from napari_sartorius.training.doctor.gallery import write_gallery

if TYPE_CHECKING:
    from pathlib import Path


def test_each_faulty_record_on_an_image_has_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    write_coco(path, dataset_of_masks(tmp_path, [discs(), discs()]))
    content = json.loads(path.read_text())
    notes = content["annotations"]
    notes[1]["category_id"] = 9
    notes[3]["segmentation"]["size"] = [32, 128]
    notes[4]["bbox"] = [60, 60, 20, 20]
    notes[5]["segmentation"]["counts"] = "garbage!"
    path.write_text(json.dumps(content))
    dataset, faults = read_for_check(path)
    page = write_gallery(tmp_path / "page", dataset, check_dataset(dataset, faults=faults))
    for kind in ("dangling", "other_image", "outside", "damaged"):
        assert f'src="{kind}_1.png"' in page.read_text(), kind
    with Image.open(page.parent / "outside_1.png") as picture:
        assert picture.width == picture.height > SIDE
    notes[1]["image_id"] = 77  # of no image, so there is none to draw on
    path.write_text(json.dumps(content))
    dataset, faults = read_for_check(path)
    page = write_gallery(tmp_path / "page", dataset, check_dataset(dataset, faults=faults))
    assert 'src="dangling_1.png"' not in page.read_text()


@pytest.mark.parametrize(
    ("record", "inside", "beyond"),
    [
        ({"segmentation": [[50, 10, 80, 10, 80, 20, 50, 20]]}, 14 * 10, 16 * 10),
        ({"segmentation": [-10, 10, 10, 10, 10, 20, -10, 20]}, 10 * 10, 10 * 10),
        ({"segmentation": [[10, 10, 20, 10, 20, 20, 10, 20]]}, 10 * 10, 0),
        ({"segmentation": {"size": [70, SIDE], "counts": [65, 5, 70 * SIDE - 70]}}, 0, 5),
        ({"segmentation": {"size": [70, SIDE], "counts": [60, 10, 70 * SIDE - 70]}}, 4, 6),
        ({"bbox": [54, 54, 20, 20]}, 2 * 10 + 2 * 8, None),
        ({"bbox": [10, 10, 10, 10], "segmentation": "none"}, 100 - 36, 0),
        ({"bbox": [1e9, 5, 10, 10]}, 0, None),
        ({"segmentation": [[1e9, 5, 2e9, 5, 2e9, 9, 1e9, 9]]}, 0, None),
    ],
)
def test_what_lies_inside_and_what_beyond(
    record: dict[str, Any], inside: int, beyond: int | None
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE)).astype(np.uint8)
    drawn = with_record(pixels, record)
    assert drawn is not None
    canvas, objects = drawn
    assert objects.image_size == canvas.shape
    assert max(canvas.shape) <= 2 * SIDE
    areas = objects.masks.area().tolist()
    if inside:
        assert areas[0] == inside
    if beyond is None:
        assert areas[-1] > 0
    else:
        assert areas == [area for area in (inside, beyond) if area]
    if beyond == 0:
        np.testing.assert_array_equal(canvas, pixels)
    else:
        assert canvas.size > pixels.size


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"bbox": [1, 2]},
        {"bbox": [float("nan")] * 4, "segmentation": []},
        {"segmentation": [["a", "b"]]},
        {"segmentation": [[float("inf"), 1, 2, 3, 4, 5]]},
        {"segmentation": {"size": [4, 4], "counts": "garbage!"}},
        {"segmentation": {"counts": [1]}},
    ],
)
def test_a_record_that_says_no_place_has_no_picture(record: dict[str, Any]) -> None:
    assert with_record(np.zeros((SIDE, SIDE, 3), np.uint8), record) is None


def test_leaks_and_doubled_images_show_both(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    marks = [{"split": side} for side in ("train", "train", "val", "val", "train")]
    dataset = dataset_of_masks(data, [discs()] * 5, marks)
    for n in (1, 2):  # 0 and 1 are on one side, 2 is on the other
        (data / f"{n}.png").write_bytes((data / "0.png").read_bytes())
    report = check_dataset(dataset)
    (leak,) = (one for one in report.findings if one.kind == "leak")
    assert (leak.image_id, leak.beside) == (1, 3)
    page = write_gallery(tmp_path / "page", dataset, report)
    with Image.open(page.parent / "leak_1.png") as picture:
        assert picture.width > 2 * picture.height


def test_two_images_keep_their_objects(tmp_path: Path) -> None:
    dataset = dataset_of_masks(tmp_path, [discs(), discs(4)[:2]])
    grey = np.full((SIDE, SIDE), 7, np.uint8)
    colour = np.full((SIDE, SIDE, 3), 9, np.uint8)
    canvas, objects = side_by_side((grey, dataset.instances[1]), (colour, dataset.instances[2]))
    assert canvas.shape[2] == 3
    assert len(objects) == 8
    last = objects.masks.full(7)
    np.testing.assert_array_equal(last[:, -SIDE:], dataset.instances[2].masks.full(1))
    assert not last[:, :-SIDE].any()
    assert (canvas[:, -SIDE:] == 9).all()
    assert (canvas[:, :SIDE] == 7).all()
