"""The competition's tables, in the competition's own terms."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.kaggle import read_train_csv
from napari_sartorius.io.submission import read_submission, write_submission

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.core.instances import Instances

_HEADER = "id,annotation,width,height,cell_type,plate_time,sample_date,sample_id\n"
_REST = "11h30m00s,2019-06-16,shsy5y[diff]_E10-4"


def test_submission_has_no_overlap_and_a_row_for_every_image(
    tmp_path: Path, overlapping: Instances
) -> None:
    path = tmp_path / "submission.csv"
    write_submission(path, {"aaa": overlapping, "bbb": overlapping[:0]})
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", "predicted"]
    assert [row[0] for row in rows[1:]] == ["aaa"] * 3 + ["bbb"]
    assert rows[-1] == ["bbb", ""]
    covered = np.zeros(30 * 50, int)
    for _, code in rows[1:4]:
        numbers = [int(n) for n in code.split()]
        for start, length in zip(numbers[::2], numbers[1::2], strict=True):
            covered[start - 1 : start - 1 + length] += 1
    expected = np.zeros((30, 50), int)
    expected[2:12, 3:13] = expected[8:18, 8:18] = expected[20:25, 40:50] = 1
    np.testing.assert_array_equal(covered.reshape(30, 50), expected)
    again = read_submission(path, {"aaa": (30, 50), "bbb": (30, 50)})
    assert again["aaa"].masks.area().tolist() == [80, 100, 50]  # the higher score kept its pixels
    assert len(again["bbb"]) == 0


def test_fully_hidden_objects_have_no_row(tmp_path: Path, overlapping: Instances) -> None:
    write_submission(tmp_path / "s.csv", {"aaa": overlapping[[1, 1]]})
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 2


def test_train_csv(tmp_path: Path) -> None:
    rows = [
        f"b,1 3 11 3,10,6,cort,{_REST}",
        f"b,2 2,10,6,cort,{_REST}",
        f"a,60 1,10,6,shsy5y,{_REST}",
        f"b,2 2,10,6,cort,{_REST}",
    ]
    (tmp_path / "train.csv").write_text(_HEADER + "\n".join(rows) + "\n")
    dataset = read_train_csv(tmp_path / "train.csv")
    assert dataset.category_names == ["shsy5y", "cort"]
    assert [image.id for image in dataset.images] == ["b", "a"]
    assert dataset.images[0].extra["sample_id"] == "shsy5y[diff]_E10-4"
    assert dataset.image_path(dataset.images[0]) == tmp_path / "train" / "b.png"
    assert dataset.instances["b"].masks.area().tolist() == [6, 2, 2]
    assert dataset.instances["b"].categories.tolist() == [1, 1, 1]
    assert dataset.instances["a"].masks.full(0)[5, 9]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,predicted\n", "lacks the columns annotation"),
        ("", "lacks the columns"),
        (_HEADER + f"a,1 3 5,10,6,cort,{_REST}\n", "image a: .*pairs"),
        (_HEADER + f"a,59 3,10,6,cort,{_REST}\n", "image a: .*outside the image"),
        (_HEADER + f"a,1 3,wide,6,cort,{_REST}\n", "image a has no proper size"),
        (_HEADER + "a\n", "image a has no proper size"),
        ("\x00\xff\xfe", "is not a CSV table|lacks the columns"),
    ],
)
def test_a_wrong_train_csv_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=words) as caught:
        read_train_csv(path)
    assert str(path) in str(caught.value)


def test_a_submission_for_other_images(tmp_path: Path, overlapping: Instances) -> None:
    write_submission(tmp_path / "s.csv", {"aaa": overlapping})
    with pytest.raises(UserError, match="image aaa is not one of the images"):
        read_submission(tmp_path / "s.csv", {"bbb": (30, 50)})


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_train_csv(tmp_path / "train.csv")


def test_real_masks_survive_the_table(shared_data: Path, tmp_path: Path) -> None:
    dataset = read_coco(shared_data / "livecell" / "annotations.json")
    lines = []
    for image in dataset.images:
        instances = dataset.instances[image.id]
        names = [dataset.category_names[c] for c in instances.categories]
        for code, name in zip(instances.masks.to_kaggle_rle(), names, strict=True):
            lines.append(f"{image.stem},{code},{image.width},{image.height},{name},{_REST}\n")
    (tmp_path / "train.csv").write_text(_HEADER + "".join(lines))
    again = read_train_csv(tmp_path / "train.csv")
    for image in dataset.images:
        old, new = dataset.instances[image.id], again.instances[image.stem]
        assert old.masks.to_rle() == new.masks.to_rle()
