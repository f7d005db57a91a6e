"""Opening and saving through npe2, with the manifest as napari would load it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array
import imagecodecs
import numpy as np
import pytest
import tifffile
from npe2 import PluginManager, PluginManifest

import napari_sartorius
from napari_sartorius.core.categories import categories_from_names
from napari_sartorius.core.errors import UserError
from napari_sartorius.io import layers_from_dataset
from napari_sartorius.io.coco import CocoDataset, CocoImage, read_coco, write_coco
from napari_sartorius.io.dsb import write_dsb
from napari_sartorius.io.exporting import export_dataset
from napari_sartorius.io.labels_tiff import read_labels, write_labels
from napari_sartorius.io.layer_table import OVERLAY_KEY
from napari_sartorius.io.table_csv import write_instances_csv

if TYPE_CHECKING:
    from napari_sartorius.core.instances import Instances

_MANIFEST = Path(napari_sartorius.__file__).parent / "napari.yaml"


@pytest.fixture
def plugins() -> PluginManager:
    manager = PluginManager()
    manager.register(PluginManifest.from_file(_MANIFEST))
    manager.activate("napari-sartorius")
    return manager


def _open(plugins: PluginManager, path: Path) -> list[Any] | None:
    """What napari does with a dropped file, for this plugin alone; None when it declines."""
    for reader in plugins.iter_compatible_readers([str(path)]):
        read = reader.exec(
            kwargs={"path": [str(path)], "stack": False, "_registry": plugins.commands}
        )
        if read is not None:
            return read([str(path)], stack=False)
    return None


def _save(plugins: PluginManager, path: Path, *layers: tuple[Any, dict[str, Any], str]) -> None:
    """What napari does in File > Save with this plugin chosen."""
    writer, _ = plugins.get_writer(str(path), [layer[2] for layer in layers], "napari-sartorius")
    assert writer is not None
    single = sum(constraint.max() for constraint in writer.layer_type_constraints()) <= 1
    arguments = (str(path), *layers[0][:2]) if single else (str(path), list(layers))
    assert writer.exec(args=arguments, _registry=plugins.commands) == [str(path)]


def _dataset(folder: Path, instances: Instances, count: int = 1) -> CocoDataset:
    random = np.random.default_rng(0)
    images = []
    for n in range(count):
        pixels = random.integers(0, 256, instances.image_size).astype(np.uint8)
        (folder / f"{n}.png").write_bytes(imagecodecs.png_encode(pixels))
        height, width = instances.image_size
        images.append(CocoImage(n + 5, f"{n}.png", width, height, {"split": "val"}))
    instances.columns["agreement"] = np.array([0.5, 0.25, 1.0])
    dataset = CocoDataset(
        images,
        categories_from_names(["astro", "cort"]),
        {image.id: instances for image in images},
        {"model": "neurons"},
        folder,
    )
    write_coco(folder / "cells.json", dataset)
    return dataset


def test_a_dropped_coco_file_opens_image_and_labels(
    plugins: PluginManager, tmp_path: Path, overlapping: Instances
) -> None:
    _dataset(tmp_path, overlapping)
    layers = _open(plugins, tmp_path / "cells.json")
    assert layers is not None
    (image, labels) = layers
    assert (image[2], labels[2]) == ("image", "labels")
    assert image[0].shape == labels[0].shape == (30, 50)
    features = labels[1]["features"]
    assert next(iter(features)) == "index"
    assert features["index"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(features["score"], [0.5, 0.9, 0.7])
    assert features["category"].tolist() == ["astro", "cort", "cort"]
    assert features["area"].tolist() == [100, 100, 50]
    assert features["agreement"].tolist() == [0.5, 0.25, 1.0]
    assert (labels[0] == 1).sum() == 100  # the earlier one is on top
    assert (labels[0] == 2).sum() == 80


def test_like_images_become_one_stack(
    plugins: PluginManager, tmp_path: Path, overlapping: Instances
) -> None:
    _dataset(tmp_path, overlapping, count=3)
    layers = _open(plugins, tmp_path / "cells.json")
    assert layers is not None
    (image, labels) = layers
    assert image[0].shape == labels[0].shape == (3, 30, 50)
    features = labels[1]["features"]
    assert features["index"].tolist() == list(range(1, 10))
    assert features["image"].tolist() == [stem for stem in "012" for _ in range(3)]
    assert features["axis-0"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert set(np.unique(labels[0][1])) == {0, 4, 5, 6}
    assert labels[1]["axis_labels"] == ("image", "y", "x")
    first = imagecodecs.png_decode((tmp_path / "1.png").read_bytes())
    np.testing.assert_array_equal(image[0][1], first)


def test_large_stacks_are_loaded_when_shown(
    plugins: PluginManager,
    tmp_path: Path,
    overlapping: Instances,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _dataset(tmp_path, overlapping, count=3)
    whole = _open(plugins, tmp_path / "cells.json")
    monkeypatch.setattr(layers_from_dataset, "LARGEST_IN_MEMORY", 1000)
    lazy = _open(plugins, tmp_path / "cells.json")
    assert whole is not None
    assert lazy is not None
    for (small, _, _), (large, _, _) in zip(whole, lazy, strict=True):
        assert isinstance(large, dask.array.Array)
        np.testing.assert_array_equal(small, large.compute())


def test_saved_layers_open_again_as_they_were(
    plugins: PluginManager, tmp_path: Path, overlapping: Instances
) -> None:
    _dataset(tmp_path, overlapping, count=2)
    layers = _open(plugins, tmp_path / "cells.json")
    assert layers is not None
    (tmp_path / "new").mkdir()
    _save(plugins, tmp_path / "new" / "again.json", *layers)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["again.json"]  # images not copied
    again = read_coco(tmp_path / "new" / "again.json")
    assert [image.id for image in again.images] == [5, 6]
    assert again.images[0].extra["split"] == "val"
    assert again.info["model"] == "neurons"
    assert [again.image_path(image).resolve().name for image in again.images] == ["0.png", "1.png"]
    assert again.image_path(again.images[0]).exists()
    reopened = _open(plugins, tmp_path / "new" / "again.json")
    assert reopened is not None
    np.testing.assert_array_equal(reopened[0][0], layers[0][0])
    np.testing.assert_array_equal(reopened[1][0], layers[1][0])
    for name in ("index", "score", "category", "agreement"):
        assert reopened[1][1]["features"][name].tolist() == layers[1][1]["features"][name].tolist()


def _result(**more: Any) -> tuple[Any, dict[str, Any], str]:
    """A labels layer as napari hands it over, one cell painted by hand."""
    pandas = pytest.importorskip("pandas")
    labels = np.zeros((30, 50), np.int32)
    labels[2:8, 3:9] = 7
    labels[12:18, 3:9] = 9
    labels[20:28, 30:40] = 12  # has no row
    features = pandas.DataFrame(
        {
            "index": [9, 7],
            "score": [0.25, 0.75],
            "category": pandas.Categorical(["cort", "astro"]),
            "area": [1, 1],
        }
    )
    meta = {"name": "cells of a b", "features": features, "metadata": {}} | more
    return labels, meta, "labels"


def test_a_labels_layer_becomes_coco(plugins: PluginManager, tmp_path: Path) -> None:
    _save(plugins, tmp_path / "out.json", _result(scale=(0.5, 0.5), units=("um", "micrometer")))
    dataset = read_coco(tmp_path / "out.json")
    instances = dataset.instances[1]
    assert dataset.images[0].file_name == "cells_of_a_b.tif"
    assert dataset.images[0].extra["pixel_size_um"] == [0.5, 0.5]
    assert instances.masks.area().tolist() == [36, 36, 80]
    assert instances.scores.tolist() == [0.75, 0.25, 1.0]
    assert [dataset.category_names[c] for c in instances.categories] == ["astro", "cort", "cort"]
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


def test_categories_of_a_result_keep_their_order_and_colour(
    plugins: PluginManager, tmp_path: Path
) -> None:
    table = [
        {"name": "shsy5y", "colour": "#111111"},
        {"name": "astro", "colour": "#222222"},
        {"name": "cort", "colour": "#333333"},
    ]
    _save(plugins, tmp_path / "out.json", _result(metadata={"sartorius": {"categories": table}}))
    categories = read_coco(tmp_path / "out.json").categories
    assert [(c.id, c.name, c.colour) for c in categories] == [
        (1, "shsy5y", "#111111"),
        (2, "astro", "#222222"),
        (3, "cort", "#333333"),
    ]


def test_image_layers_are_saved_along(plugins: PluginManager, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 65535, (30, 50)).astype(np.uint16)
    image = (pixels, {"name": "my image", "rgb": False}, "image")
    other = (pixels[:10], {"name": "another", "rgb": False}, "image")
    _save(plugins, tmp_path / "out.json", other, image, _result())
    names = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*"))
    assert names == ["out.json", "out_images/my_image.tif"]
    layers = _open(plugins, tmp_path / "out.json")
    assert layers is not None
    np.testing.assert_array_equal(layers[0][0], pixels)


def test_an_image_with_a_known_file_is_not_copied(plugins: PluginManager, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (30, 50)).astype(np.uint8)
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", pixels)
    memory = {"sartorius": {"image_path": str(tmp_path / "in" / "a.tif")}}
    image = (pixels, {"name": "a", "rgb": False}, "image")
    _save(plugins, tmp_path / "out" / "out.json", image, _result(metadata=memory))
    assert read_coco(tmp_path / "out" / "out.json").images[0].file_name == "../in/a.tif"


def test_several_labels_layers_become_one_dataset(plugins: PluginManager, tmp_path: Path) -> None:
    stack = np.zeros((2, 3, 20, 20), np.uint16)
    stack[:, :, 3:6, 3:6] = 1
    stack[1, 2, 10:12, 10:12] = 2
    second = (stack, {"name": "series", "features": {"index": [1, 2], "score": [0.5, 1]}}, "labels")
    _save(plugins, tmp_path / "out.json", _result(), second)
    dataset = read_coco(tmp_path / "out.json")
    assert [image.id for image in dataset.images] == list(range(1, 8))
    assert dataset.images[6].extra == {"plane": [1, 2], "plane_axes": "TZ"}
    assert len(dataset.instances[7]) == 2
    layers = _open(plugins, tmp_path / "out.json")
    assert layers is not None
    assert [layer[0].shape for layer in layers] == [(30, 50), (2, 3, 20, 20)]
    assert layers[1][1]["axis_labels"] == ("t", "z", "y", "x")
    np.testing.assert_array_equal(layers[1][0] > 0, stack > 0)


def test_labels_of_one_slice_remember_which(plugins: PluginManager, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 20, 20)).astype(np.uint8)
    image = (pixels, {"name": "stack", "rgb": False, "scale": (2.0, 1.0, 1.0)}, "image")
    labels = np.zeros((1, 20, 20), np.uint16)
    labels[0, 3:6, 3:6] = 1
    meta = {
        "name": "stack cells",
        "metadata": {"sartorius": {"image": "stack"}},
        "scale": (2.0, 1.0, 1.0),
        "translate": (4.0, 0.0, 0.0),
        "axis_labels": ("z", "y", "x"),
    }
    other = (labels, meta | {"translate": (6.0, 0.0, 0.0)}, "labels")
    _save(plugins, tmp_path / "out.json", image, (labels, meta, "labels"), other)
    dataset = read_coco(tmp_path / "out.json")
    assert [i.file_name for i in dataset.images] == ["out_images/stack.tif"] * 2
    assert [i.extra for i in dataset.images] == [
        {"plane": [2], "plane_axes": "Z"},
        {"plane": [3], "plane_axes": "Z"},
    ]
    layers = _open(plugins, tmp_path / "out.json")
    assert layers is not None
    np.testing.assert_array_equal(layers[0][0], pixels[2:])


def test_images_of_similar_names_get_files_of_their_own(
    plugins: PluginManager, tmp_path: Path
) -> None:
    layers = []
    for n, name in enumerate(("a b", "a_b")):
        layers.append((np.full((9, 9), n, np.uint8), {"name": name}, "image"))
        memory = {"sartorius": {"image": name}}
        layers.append(
            (np.eye(9, dtype=int), {"name": f"{name} cells", "metadata": memory}, "labels")
        )
    _save(plugins, tmp_path / "out.json", *layers)
    dataset = read_coco(tmp_path / "out.json")
    pictures = [tifffile.imread(dataset.image_path(image)) for image in dataset.images]
    assert [int(picture.max()) for picture in pictures] == [0, 1]


def test_a_time_series_opens_over_its_file(
    plugins: PluginManager, tmp_path: Path, overlapping: Instances
) -> None:
    pixels = np.random.default_rng(0).normal(size=(3, 30, 50)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata={"axes": "TYX"})
    extra = {"plane_axes": "T", "pixel_size_um": [0.5, 0.25]}
    images = [CocoImage(n, "a.ome.tif", 50, 30, extra | {"plane": [n]}) for n in range(3)]
    instances = {image.id: overlapping for image in images}
    dataset = CocoDataset(images, categories_from_names(["a", "b"]), instances)
    write_coco(tmp_path / "a.json", dataset)
    layers = _open(plugins, tmp_path / "a.json")
    assert layers is not None
    np.testing.assert_array_equal(layers[0][0], pixels)
    for layer in layers:
        assert layer[1]["scale"] == (1.0, 0.5, 0.25)
        assert layer[1]["units"] == ("pixel", "um", "um")
        assert layer[1]["axis_labels"] == ("t", "y", "x")
    assert layers[1][1]["features"]["area_um2"][0] == 12.5


def test_results_in_another_folder_find_their_images(
    plugins: PluginManager, tmp_path: Path, overlapping: Instances
) -> None:
    (tmp_path / "in").mkdir()
    dataset = _dataset(tmp_path / "in", overlapping)
    dataset.info["image_root"] = "../in"
    write_coco(tmp_path / "out" / "instances.json", dataset)
    layers = _open(plugins, tmp_path / "out" / "instances.json")
    assert layers is not None
    assert [layer[2] for layer in layers] == ["image", "labels"]


def test_missing_images_leave_the_labels(
    plugins: PluginManager, tmp_path: Path, overlapping: Instances
) -> None:
    _dataset(tmp_path, overlapping)
    (tmp_path / "0.png").unlink()
    layers = _open(plugins, tmp_path / "cells.json")
    assert layers is not None
    assert [layer[2] for layer in layers] == ["labels"]


def test_an_image_of_another_size_is_named(
    plugins: PluginManager, tmp_path: Path, overlapping: Instances
) -> None:
    _dataset(tmp_path, overlapping)
    (tmp_path / "0.png").write_bytes(imagecodecs.png_encode(np.zeros((9, 9), np.uint8)))
    with pytest.raises(UserError, match=r"0\.png is 9 x 9 pixels but its record says 50 x 30"):
        _open(plugins, tmp_path / "cells.json")


def test_other_files_are_left_to_others(plugins: PluginManager, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "image.tif", np.zeros((20, 20), np.uint8))
    (tmp_path / "settings.json").write_text(json.dumps({"images": 3}))
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "points.csv").write_text("index,axis-0,axis-1\n")
    (tmp_path / "train.csv").write_text("epoch,loss\n")
    for path in tmp_path.iterdir():
        assert _open(plugins, path) is None
    assert _open(plugins, tmp_path) is None


def test_label_tiff_opens_as_labels_and_back(plugins: PluginManager, tmp_path: Path) -> None:
    labels = np.zeros((3, 20, 30), np.uint16)
    labels[:, 3:6, 4:8] = [[[1]], [[2]], [[300]]]
    path = tmp_path / "a_labels.tif"
    write_labels(path, labels, pixel_size=0.5, axes="ZYX")
    opened = _open(plugins, path)
    assert opened is not None
    (layer,) = opened
    assert layer[2] == "labels"
    assert layer[1]["scale"] == (1.0, 0.5, 0.5)
    assert layer[1]["axis_labels"] == ("z", "y", "x")
    np.testing.assert_array_equal(layer[0], labels)
    _save(plugins, tmp_path / "b.tif", layer)
    again = read_labels(tmp_path / "b.tif")
    assert again.axes == "ZYX"
    assert again.pixel_size == 0.5
    np.testing.assert_array_equal(again.to_array(), labels)


def test_label_tiff_brings_the_table_beside_it(
    plugins: PluginManager, tmp_path: Path, overlapping: Instances
) -> None:
    write_labels(tmp_path / "a_labels.tif", overlapping.to_labels()[0])
    write_instances_csv(tmp_path / "a_objects.csv", overlapping, category_names=["astro", "cort"])
    opened = _open(plugins, tmp_path / "a_labels.tif")
    assert opened is not None
    features = opened[0][1]["features"]
    assert features["index"].tolist() == [1, 2, 3]
    assert features["score"].tolist() == [0.5, 0.9, 0.7]
    assert features["category"].tolist() == ["astro", "cort", "cort"]
    write_instances_csv(tmp_path / "a_objects.csv", overlapping[:1])  # of another run
    opened = _open(plugins, tmp_path / "a_labels.tif")
    assert opened is not None
    assert opened[0][1]["features"] == {}


def test_the_table_is_measured_anew(plugins: PluginManager, tmp_path: Path) -> None:
    _save(plugins, tmp_path / "a.csv", _result(scale=(0.5, 0.5), units=("um", "um")))
    lines = (tmp_path / "a.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    assert [row["index"] for row in rows] == ["7", "9", "12"]
    assert [row["area"] for row in rows] == ["36", "36", "80"]
    assert [row["area_um2"] for row in rows] == ["9.0", "9.0", "20.0"]
    assert [row["category"] for row in rows] == ["astro", "cort", "cort"]


def test_dsb_folder_and_train_csv_open(
    plugins: PluginManager, tmp_path: Path, overlapping: Instances
) -> None:
    dataset = _dataset(tmp_path, overlapping)
    write_dsb(tmp_path / "stage1_train", dataset)
    layers = _open(plugins, tmp_path / "stage1_train")
    assert layers is not None
    assert [layer[2] for layer in layers] == ["image", "labels"]
    header = "id,annotation,width,height,cell_type\n"
    (tmp_path / "train.csv").write_text(header + "x,1 5,50,30,cort\n")
    layers = _open(plugins, tmp_path / "train.csv")
    assert layers is not None
    assert layers[0][1]["features"]["category"].tolist() == ["cort"]


@pytest.mark.parametrize("has_image", [True, False])
@pytest.mark.parametrize("form", ["rois", "geojson", "zarr"])
def test_exported_regions_and_zarr_labels_open(
    plugins: PluginManager, tmp_path: Path, overlapping: Instances, form: str, has_image: bool
) -> None:
    if form == "zarr":
        pytest.importorskip("zarr")
    dataset = _dataset(tmp_path, overlapping)
    (tmp_path / "0_overlay.png").write_bytes((tmp_path / "0.png").read_bytes())
    if not has_image:
        for picture in tmp_path.glob("*.png"):
            picture.unlink()
    export_dataset(dataset, tmp_path, [form])
    ends = {"rois": "0_rois.zip", "geojson": "0.geojson", "zarr": "0_labels.zarr"}
    layers = _open(plugins, tmp_path / ends[form])
    assert layers is not None
    ((labels, keywords, kind),) = layers
    assert kind == "labels"
    wanted = overlapping.masks.to_labels()
    height, width = labels.shape
    if has_image or form == "zarr":
        assert labels.shape == wanted.shape
    np.testing.assert_array_equal(labels > 0, wanted[:height, :width] > 0)
    assert not wanted[height:].any()
    assert not wanted[:, width:].any()
    if form != "zarr":
        assert keywords["features"]["category"].tolist() == ["astro", "cort", "cort"]


def test_wrong_layers_say_what_is_wrong(plugins: PluginManager, tmp_path: Path) -> None:
    negative = (np.full((5, 5), -1), {"name": "bad labels"}, "labels")
    for name in ("a.json", "a.tif", "a.csv"):
        with pytest.raises(UserError, match="bad labels: values are not labels"):
            _save(plugins, tmp_path / name, negative)
    assert list(tmp_path.iterdir()) == []


def test_napari_accepts_the_layers_and_gives_them_back(
    plugins: PluginManager, tmp_path: Path, overlapping: Instances
) -> None:
    layers_module = pytest.importorskip("napari.layers")
    dataset = _dataset(tmp_path, overlapping, count=2)
    for image in dataset.images:
        image.extra["pixel_size_um"] = [0.5, 0.5]
    write_coco(tmp_path / "cells.json", dataset)
    opened = _open(plugins, tmp_path / "cells.json")
    assert opened is not None
    layers = [layers_module.Layer.create(*layer) for layer in opened]
    labels = layers[1]
    assert labels.features["index"].tolist() == [1, 2, 3, 4, 5, 6]
    assert [str(unit) for unit in labels.units] == ["pixel", "micrometer", "micrometer"]
    _save(plugins, tmp_path / "again.json", *(layer.as_layer_data_tuple() for layer in layers))
    again = read_coco(tmp_path / "again.json")
    assert again.images[1].extra["pixel_size_um"] == [0.5, 0.5]
    np.testing.assert_allclose(again.instances[6].scores, [0.5, 0.9, 0.7])
    _save(plugins, tmp_path / "again.tif", labels.as_layer_data_tuple())
    assert read_labels(tmp_path / "again.tif").pixel_size == 0.5


def test_hooks_import_neither_napari_nor_torch() -> None:
    import subprocess

    code = "import sys, napari_sartorius.io.napari_hooks as h; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(_MANIFEST.parents[1])},
    )
    loaded = set(run.stdout.split())
    assert "napari_sartorius.io.napari_hooks" in loaded
    assert not loaded & {"napari", "torch", "qtpy", "dask", "pandas"}


def test_real_dataset_opens(plugins: PluginManager, shared_data: Path) -> None:
    layers = _open(plugins, shared_data / "livecell" / "annotations.json")
    assert layers is not None
    (image, labels) = layers
    assert image[0].shape == labels[0].shape == (5, 520, 704)
    assert image[1]["name"] == "livecell"
    assert len(labels[1]["features"]["index"]) == 1243


def test_outlines_of_a_selection_are_not_saved(plugins: PluginManager, tmp_path: Path) -> None:
    outlines = (np.ones((30, 50), np.uint8), {"metadata": {OVERLAY_KEY: True}}, "labels")
    _save(plugins, tmp_path / "out.json", _result(), outlines)
    dataset = read_coco(tmp_path / "out.json")
    assert len(dataset) == 1
    assert dataset.object_count == 3


@pytest.mark.parametrize(("highest", "dtype"), [(250, np.uint16), (65_000, np.uint32)])
def test_opened_labels_have_room_for_more_cells(
    plugins: PluginManager, tmp_path: Path, highest: int, dtype: type
) -> None:
    labels = np.zeros((30, 50), np.uint32)
    labels[3:9, 4:9] = highest
    path = tmp_path / "a_labels.tif"
    _save(plugins, path, (labels, {"name": "a"}, "labels"))
    assert tifffile.imread(path).dtype.itemsize < np.dtype(dtype).itemsize
    layers = _open(plugins, path)
    assert layers is not None
    opened = layers[0][0]
    assert opened.dtype == dtype
    np.testing.assert_array_equal(opened, labels)
