"""Label images as OME-Zarr: exact, and read by the format's own library."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.io.ome_zarr_labels import read_zarr_labels, write_zarr_labels

if TYPE_CHECKING:
    from pathlib import Path

zarr = pytest.importorskip("zarr", reason="zarr is optional")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
def test_ten_times_out_and_in_leaves_every_pixel(tmp_path: Path, kind: Any) -> None:
    labels = np.random.default_rng(0).integers(0, 200, (3, 300, 411)).astype(kind)
    now = labels
    for n in range(10):
        write_zarr_labels(tmp_path / f"{n}.zarr", now, axes="ZYX", pixel_size_yx=(0.5, 0.25))
        now, axes, size = read_zarr_labels(tmp_path / f"{n}.zarr")
    np.testing.assert_array_equal(now, labels)
    assert now.dtype == kind
    assert axes == "ZYX"
    assert size == (0.5, 0.25)


def test_the_formats_own_reader_reads_it(tmp_path: Path) -> None:
    reader = pytest.importorskip("ome_zarr.reader", reason="ome-zarr is needed to compare")
    from ome_zarr.io import parse_url

    labels = np.zeros((600, 500), np.uint16)
    labels[100:200, 50:90] = 7
    write_zarr_labels(tmp_path / "cells.zarr", labels)
    location = parse_url(str(tmp_path / "cells.zarr"))
    assert location is not None
    nodes = list(reader.Reader(location)())
    np.testing.assert_array_equal(np.asarray(nodes[0].data[0]), labels)
    assert [level.shape for level in nodes[0].data] == [(600, 500), (300, 250), (150, 125)]


def test_bad_folders_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no OME-Zarr"):
        read_zarr_labels(tmp_path / "nothing.zarr")
    write_zarr_labels(tmp_path / "a.zarr", np.ones((4, 4), np.uint8))
    with pytest.raises(UserError, match="not empty"):
        write_zarr_labels(tmp_path / "a.zarr", np.ones((4, 4), np.uint8))
    with pytest.raises(ValueError, match="for axes"):
        write_zarr_labels(tmp_path / "b.zarr", np.ones((4, 4), np.float32))
    assert not (tmp_path / "b.zarr").exists()


def test_without_zarr_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def refuse(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name == "zarr":
            raise ImportError(name)
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match="pip install 'zarr"):
        write_zarr_labels(tmp_path / "c.zarr", np.ones((4, 4), np.uint8))
