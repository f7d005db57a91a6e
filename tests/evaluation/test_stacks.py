"""Images that share a file: the planes of a stack are compared each with its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.evaluation import evaluate_dataset
from napari_sartorius.evaluation.cases import collect_cases
from napari_sartorius.evaluation.result_text import as_text
from napari_sartorius.io.coco import CocoDataset, CocoImage

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (20, 30)


def cells(count: int) -> Instances:
    full = np.zeros((count, *SIZE), np.bool_)
    for i, mask in enumerate(full):
        mask[:4, 5 * i : 5 * i + 4] = True
    return Instances.from_masks(CropMasks.from_full(full))


def stack(planes: dict[tuple[int, ...], int], name: str = "zs.ome.tif") -> CocoDataset:
    """So many cells in each plane."""
    images = [
        CocoImage(n, name, SIZE[1], SIZE[0], {"plane": list(plane)} if plane else {})
        for n, plane in enumerate(planes)
    ]
    found = {n: cells(count) for n, count in enumerate(planes.values())}
    return CocoDataset(images, categories_from_names(["cell"]), dict(found), {}, None)


def test_a_stack_is_compared_with_itself() -> None:
    truth = stack({(0,): 1, (1,): 2, (2,): 3})
    backwards = stack({(2,): 3, (1,): 2, (0,): 1}, name="results/zs.ome.tif")
    result = evaluate_dataset(truth, backwards)
    assert result.competition_score == 1
    assert [image.true_count for image in result.images] == [1, 2, 3]
    names = [f"zs.ome.tif, plane {n}" for n in range(3)]
    assert [image.file_name for image in result.images] == names
    assert names[1] in as_text(result)


def test_planes_of_two_axes_and_missing_ones() -> None:
    truth = stack({(0, 0): 1, (0, 1): 2, (1, 0): 3})
    with pytest.raises(UserError, match=r"lacks 1 of 3 .* such as zs\.ome\.tif, plane 1, 0"):
        collect_cases(truth, stack({(0, 0): 1, (0, 1): 2}))
    cases = collect_cases(truth, stack({(0, 1): 2}), partial=True)
    assert [(case.plane, len(case.truth)) for case in cases] == [((0, 1), 2)]


def test_a_plane_alone_may_go_without_its_number() -> None:
    for one, other in (({(3,): 2}, {(): 2}), ({(): 2}, {(3,): 2})):
        assert evaluate_dataset(stack(one), stack(other)).competition_score == 1
    with pytest.raises(UserError, match=r"zs\.ome\.tif, plane 0 and zs\.ome\.tif, plane 1 of the "):
        collect_cases(stack({(0,): 1, (1,): 1}), stack({(): 1}))
    with pytest.raises(UserError, match=r"could be zs\.ome\.tif, plane 0 and zs\.ome\.tif, plane "):
        collect_cases(stack({(): 1}), stack({(0,): 1, (1,): 1}))


def named(*names: str) -> CocoDataset:
    images = [CocoImage(n, name, SIZE[1], SIZE[0]) for n, name in enumerate(names)]
    found = {n: cells(n + 1) for n in range(len(names))}
    return CocoDataset(images, categories_from_names(["cell"]), dict(found), {}, None)


def test_no_prediction_serves_two_images() -> None:
    with pytest.raises(UserError, match=r"good\.jpg and good\.tif of the truth could both be good"):
        collect_cases(named("good.jpg", "good.tif"), named("good.png"))
    # What has the whole name is no candidate for others.
    cases = collect_cases(named("a.png", "in/a.png"), named("a.png", "elsewhere/a.png"))
    assert [len(case.predicted) for case in cases] == [1, 2]
    with pytest.raises(UserError, match=r"lacks 1 of 2 .* such as in/a\.png"):
        collect_cases(named("a.png", "in/a.png"), named("a.png"))


def test_the_report_draws_the_plane(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from napari_sartorius.evaluation.report.pictures import _image

    grey = np.arange(3 * 20 * 30, dtype=np.uint16).reshape(3, *SIZE)
    tifffile.imwrite(tmp_path / "zs.ome.tif", grey, metadata={"axes": "ZYX"})
    Image.fromarray(grey[0].astype(np.uint8)).save(tmp_path / "flat.png")
    truth = stack({(0,): 1, (2,): 1, (3,): 1})
    truth.folder = tmp_path
    drawn = [_image(case) for case in collect_cases(truth, truth)]
    np.testing.assert_array_equal(drawn[1], grey[2])
    assert drawn[2] is None
    flat = named("flat.png")
    flat.folder = tmp_path
    (case,) = collect_cases(flat, flat)
    np.testing.assert_array_equal(_image(case), grey[0].astype(np.uint8))
