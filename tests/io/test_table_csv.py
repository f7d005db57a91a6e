"""Tables open in a spreadsheet with the numbers they were made of."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.table_csv import read_table, write_instances_csv, write_table

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.core.instances import Instances


def test_objects(tmp_path: Path, overlapping: Instances) -> None:
    write_instances_csv(
        tmp_path / "a.csv", overlapping, pixel_size=0.5, category_names=["astro", "cort, dense"]
    )
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["index"] for row in rows] == ["1", "2", "3"]
    assert [row["score"] for row in rows] == ["0.5", "0.9", "0.7"]
    assert [row["category"] for row in rows] == ["astro", "cort, dense", "cort, dense"]
    assert [row["area"] for row in rows] == ["100", "100", "50"]
    assert [float(row["area_um2"]) for row in rows] == [25, 25, 12.5]
    assert float(rows[2]["centroid_x"]) == 44.5
    for column in ("centroid_y", "bbox_x0", "bbox_y1", "major_axis", "minor_axis", "solidity"):
        assert all(row[column] for row in rows)


def test_cells(tmp_path: Path) -> None:
    table = {
        "a": np.array([1.5, np.nan]),
        "b": np.array([0.1, 1e-7], np.float32),
        "c": np.array(['say "hi"', "x,y\nz"]),
        "d": np.array([True, False]),
    }
    write_table(tmp_path / "a.csv", table)
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["a", "b", "c", "d"],
        ["1.5", "0.1", 'say "hi"', "True"],
        ["", "1e-07", "x,y\nz", "False"],
    ]


def test_no_objects_give_a_header(tmp_path: Path, overlapping: Instances) -> None:
    write_instances_csv(tmp_path / "a.csv", overlapping[:0])
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("index,score,category,area")


def test_unequal_columns(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="differ in length"):
        write_table(tmp_path / "a.csv", {"a": np.zeros(2), "b": np.zeros(3)})
    assert list(tmp_path.iterdir()) == []


def test_tables_are_read_back_with_their_types(tmp_path: Path, overlapping: Instances) -> None:
    overlapping.columns["gap"] = np.array([0.5, np.nan, 2.0])
    write_instances_csv(tmp_path / "a.csv", overlapping, category_names=["1a", "b"])
    table = read_table(tmp_path / "a.csv")
    expected = overlapping.table(category_names=["1a", "b"])
    assert list(table) == list(expected)
    for name, column in expected.items():
        assert table[name].dtype.kind == column.dtype.kind
        np.testing.assert_array_equal(table[name].astype(column.dtype), column)
    write_instances_csv(tmp_path / "b.csv", overlapping[:0])
    assert [len(column) for column in read_table(tmp_path / "b.csv").values()] == [0] * len(table)


@pytest.mark.parametrize("content", [b"", b"a,b\n1\n", b"\xff\xfe\x00a"])
def test_what_is_no_table(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.csv"):
        read_table(tmp_path / "a.csv")


def test_names_that_are_no_text_are_written_nonetheless(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", {"image": np.array(["lat\udce4in.png", "b.png"])})
    assert (tmp_path / "a.csv").read_text("utf-8").splitlines() == [
        "image",
        r"lat\udce4in.png",
        "b.png",
    ]
