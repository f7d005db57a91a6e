"""Label images in napari: which files are taken for some, and the tables beside stacks."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from npe2 import PluginManager, PluginManifest

import napari_sartorius
from napari_sartorius.io.image_writing import write_image_planes
from napari_sartorius.io.labels_tiff import write_labels
from napari_sartorius.io.napari_hooks import (
    get_labels_reader,
    read_label_layers,
    write_labels_file,
    write_table_file,
)
from napari_sartorius.io.table_csv import write_table

_MANIFEST = Path(napari_sartorius.__file__).parent / "napari.yaml"


@pytest.mark.parametrize("name", ["a cells.tif", "a objects.TIFF"])
def test_label_images_that_we_wrote_open_under_the_names_of_layers(
    tmp_path: Path, name: str
) -> None:
    manager = PluginManager()
    manager.register(PluginManifest.from_file(_MANIFEST))
    path = tmp_path / name
    write_labels(path, np.eye(20, dtype=int))
    offered = [reader.command for reader in manager.iter_compatible_readers([str(path)])]
    assert offered == ["napari-sartorius.get_labels_reader"]
    read = get_labels_reader(str(path))
    assert read is not None
    ((labels, _, kind),) = read(str(path))
    assert kind == "labels"
    np.testing.assert_array_equal(labels, np.eye(20))


def test_other_tiffs_are_left_to_other_readers(tmp_path: Path) -> None:
    pixels = np.arange(400, dtype=np.uint8).reshape(20, 20)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    tifffile.imwrite(tmp_path / "b.tif", pixels, software="napari-sartorius-like")
    (tmp_path / "c.tif").write_bytes(b"II*\0")
    (tmp_path / "d.tif").write_text("no picture")
    # A picture that this package keeps for a project is none of labels.
    write_image_planes(tmp_path / "e.tif", [pixels], pixels.shape, pixels.dtype, axes="YX")
    assert len(list(tmp_path.iterdir())) == 5
    for path in tmp_path.iterdir():
        assert get_labels_reader(str(path)) is None
    assert get_labels_reader(str(tmp_path / "nowhere.tif")) is None
    write_labels(tmp_path / "f.tif", pixels)
    assert get_labels_reader([str(tmp_path / "f.tif"), str(tmp_path / "a.tif")]) is None


def test_a_large_stack_is_declined_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(3000):
            writer.write(np.zeros((8, 8), np.uint8), metadata=None)
    began = time.perf_counter()
    assert get_labels_reader(str(path)) is None
    quick = time.perf_counter() - began
    with tifffile.TiffFile(path) as tif:
        assert len(tif.pages) == 3000
        whole = time.perf_counter() - began - quick
    assert quick < max(whole, 0.05)


def _run_of_two_planes(folder: Path) -> Path:
    """What segmenting a time series writes: labels from 1 in each plane, a table with ``t``."""
    labels = np.zeros((3, 20, 30), np.uint8)
    labels[0, 2:5, 2:5] = 1
    labels[2, 2:5, 2:5] = 2
    labels[2, 9:12, 2:5] = 1
    write_labels(folder / "a_labels.tif", labels)
    table = {
        "t": np.array([0, 2, 2]),
        "index": np.array([1, 1, 2]),
        "score": np.array([0.5, 0.75, 0.25]),
        "category": np.array(["cort", "astro", "cort"]),
    }
    write_table(folder / "a_objects.csv", table)
    return folder / "a_labels.tif"


def test_a_stack_of_a_run_has_features(tmp_path: Path) -> None:
    path = _run_of_two_planes(tmp_path)
    ((labels, keywords, _),) = read_label_layers(str(path))
    assert [np.unique(plane).tolist() for plane in labels] == [[0, 1], [0], [0, 2, 3]]
    assert labels[2, 2, 2] == 3
    features = {name: column.tolist() for name, column in keywords["features"].items()}
    assert features == {
        "index": [1, 2, 3],
        "score": [0.5, 0.75, 0.25],
        "category": ["cort", "astro", "cort"],
        "axis-0": [0, 2, 2],
    }


@pytest.mark.parametrize("broken", ["fewer rows", "another plane", "no plane"])
def test_the_table_of_another_stack_says_nothing(tmp_path: Path, broken: str) -> None:
    path = _run_of_two_planes(tmp_path)
    table = {
        "fewer rows": {"t": [0, 2], "index": [1, 1]},
        "another plane": {"t": [0, 2, 7], "index": [1, 1, 2]},
        "no plane": {"t": [0.5, 2, 2], "index": [1, 1, 2]},
    }[broken]
    write_table(tmp_path / "a_objects.csv", {n: np.array(column) for n, column in table.items()})
    ((labels, keywords, _),) = read_label_layers(str(path))
    assert keywords["features"] == {}
    np.testing.assert_array_equal(labels, tifffile.imread(path))


def test_a_saved_stack_has_the_features_of_its_layer(tmp_path: Path) -> None:
    labels = np.zeros((2, 20, 30), np.uint16)
    labels[:, 2:5, 2:5] = 4  # one object in both planes
    labels[1, 9:12, 2:5] = 9
    features = {"index": [4, 9], "score": [0.5, 0.75], "category": ["cort", "astro"]}
    meta = {"name": "a", "features": features}
    write_labels_file(str(tmp_path / "a.tif"), labels, meta)
    write_table_file(str(tmp_path / "a_objects.csv"), labels, meta)
    ((again, keywords, _),) = read_label_layers(str(tmp_path / "a.tif"))
    np.testing.assert_array_equal(again, labels)
    assert {n: column.tolist() for n, column in keywords["features"].items()} == features
