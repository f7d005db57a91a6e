"""`segment`: what it writes, what it skips, and that one broken image stops nothing."""

from __future__ import annotations

import csv
import importlib
import json
import os
import shutil
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from cli_fakes import ThresholdSegmenter, squares
from PIL import Image

from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io import planes, tiff_reading
from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.images import read_image
from napari_sartorius.io.napari_hooks import get_coco_reader, read_label_layers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]


def listing(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def test_default_outputs_of_a_folder(
    run: Run, segmenter: ThresholdSegmenter, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = run("segment", pictures, "-o", out, "--model", "squares")
    assert result.exit_code == 0, result.output
    per_image = [
        f"field{n}_{end}" for n in (1, 2, 3) for end in ("labels.tif", "objects.csv", "overlay.png")
    ]
    assert listing(out) == sorted([*per_image, "instances.json"])
    dataset = read_coco(out / "instances.json")
    assert [image.file_name for image in dataset.images] == [f"field{n}.png" for n in (1, 2, 3)]
    assert [len(dataset.instances[image.id]) for image in dataset.images] == [1, 2, 3]
    assert dataset.category_names == ["round", "flat"]
    assert [c.colour for c in dataset.categories] == ["#e69f00", "#56b4e9"]
    assert dataset.info["config"]["preset"] == "balanced"
    assert dataset.info["model"] == "squares"
    sources = [out / image.extra["source"] for image in dataset.images]
    assert [path.resolve() for path in sources] == [pictures / f"field{n}.png" for n in (1, 2, 3)]
    labels = tifffile.imread(out / "field3_labels.tif")
    assert labels.dtype == np.uint8
    assert labels.max() == 3
    np.testing.assert_array_equal(labels > 0, squares(3) > 100)
    with (out / "field2_objects.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["index"] for row in rows] == ["1", "2"]
    assert [row["area"] for row in rows] == ["16", "16"]
    assert rows[0]["category"] == "round"
    assert "3 images, 6 objects" in result.stdout


def test_other_formats(
    run: Run, segmenter: ThresholdSegmenter, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    Image.fromarray(squares(0) + np.eye(64, dtype=np.uint8)).save(pictures / "empty.png")
    arguments = ("-o", out, "--model", "squares", "--format", "results,submission")
    assert run("segment", pictures, *arguments).exit_code == 0
    assert listing(out) == ["results.json", "submission.csv"]
    results = json.loads((out / "results.json").read_text())
    assert len(results) == 6
    assert {"image_id", "category_id", "segmentation", "score"} <= set(results[0])
    rows = (out / "submission.csv").read_text().splitlines()
    assert "empty," in rows
    assert len([row for row in rows if row.startswith("field3,")]) == 3


def test_a_pixel_size_that_is_given_counts_in_place_of_the_files(
    run: Run, segmenter: ThresholdSegmenter, stack: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    wish = ("--model", "squares", "--pixel-size", "0.25", "--format", "coco,labels,csv")
    assert run("segment", stack, "-o", out, *wish).exit_code == 0
    assert segmenter.pixel_sizes == [0.25] * 3
    with (out / "series_objects.csv").open() as file:
        for row in csv.DictReader(file):
            assert float(row["area_um2"]) == pytest.approx(float(row["area"]) * 0.0625)
    assert read_image(out / "series_labels.tif").pixel_size == 0.25
    dataset = read_coco(out / "instances.json")
    assert {tuple(image.extra["pixel_size_um"]) for image in dataset.images} == {(0.25, 0.25)}


def test_a_stack_is_done_plane_by_plane(
    run: Run, segmenter: ThresholdSegmenter, stack: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = run("segment", stack, "-o", out, "--model", "squares")
    assert result.exit_code == 0, result.output
    assert segmenter.seen == [(64, 64)] * 3
    assert segmenter.pixel_sizes == [0.5] * 3
    labels = tifffile.imread(out / "series_labels.tif")
    assert labels.shape == (3, 64, 64)
    assert labels.max(axis=(1, 2)).tolist() == [2, 0, 5]
    dataset = read_coco(out / "instances.json")
    assert [image.extra["plane"] for image in dataset.images] == [[0], [1], [2]]
    assert [len(dataset.instances[image.id]) for image in dataset.images] == [2, 0, 5]
    with (out / "series_objects.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["t"] for row in rows] == ["0"] * 2 + ["2"] * 5
    assert float(rows[0]["area_um2"]) == 4.0
    assert {"series_t0_overlay.png", "series_t2_overlay.png"} <= set(listing(out))


def test_blank_planes_are_not_looked_at(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path
) -> None:
    path, out = tmp_path / "series.tif", tmp_path / "out"
    stack = np.stack([np.zeros((64, 64), np.uint8), squares(3), np.zeros((64, 64), np.uint8)])
    tifffile.imwrite(path, stack, photometric="minisblack")
    result = run("segment", path, "-o", out, "--model", "squares", "--json")
    assert result.exit_code == 0, result.output
    assert segmenter.seen == [(64, 64)]
    (summary,) = json.loads(result.stdout)["images"]
    assert summary["notices"] == ["2 of 3 planes of series.tif are blank and were skipped"]
    assert (summary["planes"], sum(summary["counts"].values())) == (3, 3)
    labels = tifffile.imread(out / "series_labels.tif")
    assert labels.max(axis=(1, 2)).tolist() == [0, 3, 0]
    assert len([name for name in listing(out) if name.endswith("_overlay.png")]) == 3
    dataset = read_coco(out / "instances.json")
    assert [len(dataset.instances[image.id]) for image in dataset.images] == [0, 3, 0]


def test_pictures_of_a_file_that_are_left_out_are_told(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path
) -> None:
    path = tmp_path / "pages.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(squares(2), metadata=None)
        writer.write(squares(3, side=72), metadata=None)
    result = run("segment", path, "-o", tmp_path / "out", "--model", "squares", "--json")
    assert result.exit_code == 0, result.output
    (summary,) = json.loads(result.stdout)["images"]
    (notice,) = summary["notices"]
    assert "pages.tif holds 2 pictures" in notice
    assert notice in result.stderr


def test_the_depth_of_a_stack_is_kept(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path
) -> None:
    path, out = tmp_path / "depth.ome.tif", tmp_path / "out"
    sizes = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    tifffile.imwrite(path, np.stack([squares(2), squares(3)]), ome=True, metadata=sizes)
    assert run("segment", path, "-o", out, "--model", "squares").exit_code == 0
    assert read_image(out / "depth_labels.tif").steps == {"Z": 2.0}
    assert [one.extra["z_step_um"] for one in read_coco(out / "instances.json").images] == [2.0] * 2
    for read in (get_coco_reader(str(out / "instances.json")), read_label_layers):
        assert read is not None
        name = "instances.json" if read is not read_label_layers else "depth_labels.tif"
        layer = read(str(out / name))[-1]
        assert layer[1]["scale"] == (2.0, 0.5, 0.5)
        assert layer[1]["units"] == ("um", "um", "um")
        assert len(layer[1]["features"]["index"]) == 5


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_volume_is_never_whole_in_memory(
    run: Run,
    segmenter: ThresholdSegmenter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    compression: str | None,
) -> None:
    volume = np.stack([squares(n) for n in range(8)]).astype(np.float32)
    volume[0, 0, 0] = 11  # a plane without cells is looked at, a blank one is not
    path = tmp_path / "volume.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(iter(volume), shape=volume.shape, dtype=volume.dtype, compression=compression)
    monkeypatch.setattr(tiff_reading, "EAGER_BYTES", 0)
    assert isinstance(
        read_image(path).pixels, np.memmap if compression is None else tiff_reading.TiffPages
    )
    steps: list[str] = []
    painted: list[weakref.ref[Any]] = []
    read, look, paint = planes.read_plane, segmenter.segment, CropMasks.to_labels

    def reading(image: Any, *rest: Any) -> Any:
        steps.append("read")
        plane = read(image, *rest)
        assert plane.shape == (64, 64)
        return plane

    def looking(image: Any, **options: Any) -> Any:
        steps.append("look")
        return look(image, **options)

    def painting(masks: CropMasks, *rest: Any) -> Any:
        # The writer holds one or two at a time; not the eight of the volume.
        assert sum(label() is not None for label in painted) <= 3
        labels = paint(masks, *rest)
        painted.append(weakref.ref(labels))
        return labels

    monkeypatch.setattr(planes, "read_plane", reading)
    monkeypatch.setattr(segmenter, "segment", looking)
    monkeypatch.setattr(CropMasks, "to_labels", painting)
    options = ("--model", "squares", "--format", "labels")
    result = run("segment", path, "-o", tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    assert steps == ["read", "look"] * 8
    assert len(painted) == 8
    labels = tifffile.imread(tmp_path / "out" / "volume_labels.tif")
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels > 0, volume > 100)


def test_broken_files_are_reported_at_the_end(
    run: Run, segmenter: ThresholdSegmenter, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    whole = (pictures / "field3.png").read_bytes()
    (pictures / "cut.png").write_bytes(whole[: len(whole) // 2])
    (pictures / "field1.png").write_bytes(b"")
    result = run("segment", pictures, "-o", out, "--model", "squares")
    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert len(errors) == 2
    assert str(pictures / "cut.png") in errors[0]
    assert str(pictures / "field1.png") in errors[1]
    assert "2 of 4 images could not be done" in result.stderr
    assert "Traceback" not in result.output
    assert len(read_coco(out / "instances.json")) == 2
    assert "cut_labels.tif" not in listing(out)


def test_a_link_to_a_file_that_is_gone_is_a_broken_image(
    run: Run, segmenter: ThresholdSegmenter, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "gone.png").symlink_to(tmp_path / "unmounted" / "gone.png")
    result = run("segment", pictures, "-o", tmp_path / "out", "--model", "squares")
    assert result.exit_code == 1
    assert "gone.png does not exist" in result.stderr
    assert "1 of 4 images could not be done" in result.stderr
    (pictures / "field1.png").rename(tmp_path / "moved.png")
    (pictures / "field1.png").symlink_to(tmp_path / "unmounted" / "field1.png")
    again = run("segment", pictures, "-o", tmp_path / "out", "--model", "squares", "--resume")
    assert "2 of 4 images could not be done" in again.stderr


def test_an_unexpected_error_in_one_image_does_not_stop_the_others(
    run: Run,
    segmenter: ThresholdSegmenter,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = segmenter.segment

    def fail_on_two(image: np.ndarray, **options: object) -> object:
        if len(segmenter.seen) == 1:
            segmenter.seen.append(image.shape)
            raise RuntimeError("kernel\nfailed")
        return original(image, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(segmenter, "segment", fail_on_two)
    result = run("segment", pictures, "-o", tmp_path / "out", "--model", "squares")
    assert result.exit_code == 1
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert "field2.png" in error
    assert "RuntimeError" in error
    assert len(read_coco(tmp_path / "out" / "instances.json")) == 2


def test_resume_does_only_what_is_missing(
    run: Run, segmenter: ThresholdSegmenter, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ("segment", pictures, "-o", out, "--model", "squares", "--resume")
    assert run(*arguments).exit_code == 0
    first = (out / "instances.json").read_bytes()
    assert len(segmenter.seen) == 3
    assert run(*arguments).exit_code == 0
    assert len(segmenter.seen) == 3
    assert (out / "instances.json").read_bytes() == first
    # A new image, a changed image and a lost output are done; the rest is not.
    Image.fromarray(squares(4)).save(pictures / "field4.png")
    Image.fromarray(squares(6)).save(pictures / "field1.png")
    (out / "field2_labels.tif").unlink()
    result = run(*arguments)
    assert len(segmenter.seen) == 6
    assert "field3.png: 3 objects (3 round) (done before)" in result.stdout
    dataset = read_coco(out / "instances.json")
    assert [len(dataset.instances[image.id]) for image in dataset.images] == [6, 2, 3, 4]
    assert (out / "field2_labels.tif").is_file()


def test_resume_without_resume_starts_afresh(
    run: Run, segmenter: ThresholdSegmenter, pictures: Path, tmp_path: Path
) -> None:
    arguments = ("segment", pictures, "-o", tmp_path / "out", "--model", "squares")
    run(*arguments)
    run(*arguments)
    assert len(segmenter.seen) == 6


def test_resume_refuses_other_settings(
    run: Run, segmenter: ThresholdSegmenter, pictures: Path, tmp_path: Path
) -> None:
    arguments = ("segment", pictures, "-o", tmp_path / "out", "--model", "squares", "--resume")
    assert run(*arguments).exit_code == 0
    result = run(*arguments, "--preset", "fast")
    assert result.exit_code == 1
    assert "other settings (preset: balanced there, fast now)" in result.stderr
    # The device changes no output, so that a run may go on elsewhere.
    assert run(*arguments, "--device", "cuda:1").exit_code == 0


def test_ctrl_c_keeps_what_is_finished_and_can_be_resumed(
    run: Run,
    segmenter: ThresholdSegmenter,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    arguments = ("segment", pictures, "-o", out, "--model", "squares", "--resume")
    original = segmenter.segment

    def interrupt_on_two(image: np.ndarray, **options: object) -> object:
        if len(segmenter.seen) == 1:
            raise KeyboardInterrupt
        return original(image, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(segmenter, "segment", interrupt_on_two)
    result = run(*arguments)
    assert result.exit_code == 130
    assert "--resume" in result.stderr
    assert listing(out) == ["field1_labels.tif", "field1_objects.csv", "field1_overlay.png"]
    assert not list(out.rglob("*.part*"))
    monkeypatch.setattr(segmenter, "segment", original)
    assert run(*arguments).exit_code == 0
    assert len(segmenter.seen) == 3
    assert len(read_coco(out / "instances.json")) == 3


def test_json_summary_is_all_of_stdout(
    run: Run, segmenter: ThresholdSegmenter, pictures: Path, tmp_path: Path
) -> None:
    Image.fromarray(squares(7)).save(pictures / "many.png")
    (pictures / "empty.png").write_bytes(b"")
    result = run("segment", pictures, "-o", tmp_path / "out", "--model", "squares", "--json")
    assert result.exit_code == 1
    summary = json.loads(result.stdout)
    assert summary["counts"] == {"round": 10, "flat": 3}
    assert [image["file_name"] for image in summary["images"]] == [
        "field1.png",
        "field2.png",
        "field3.png",
        "many.png",
    ]
    assert summary["images"][3]["notices"] == ["the cap of 1000 objects was hit"]
    assert summary["failed"][0]["file_name"] == "empty.png"
    assert summary["outputs"] == ["instances.json"]


def test_recursive_search_and_clashing_stems(
    run: Run, segmenter: ThresholdSegmenter, pictures: Path, tmp_path: Path
) -> None:
    out = pictures / "out"
    for name in ("a", "b"):
        (pictures / name).mkdir()
        shutil.copy(pictures / "field1.png", pictures / name / "field1.png")
    (pictures / ".hidden").mkdir()
    shutil.copy(pictures / "field1.png", pictures / ".hidden" / "x.png")
    tifffile.imwrite(pictures / "field2.tif", squares(5))
    arguments = ("segment", pictures, "-o", out, "--model", "squares", "--recursive", "--resume")
    assert run(*arguments).exit_code == 0
    names = {image.file_name for image in read_coco(out / "instances.json").images}
    assert names == {
        "a/field1.png",
        "b/field1.png",
        "field1.png",
        "field2.png",
        "field2.tif",
        "field3.png",
    }
    labels = [name for name in listing(out) if name.endswith("_labels.tif")]
    assert len(labels) == 6
    assert "field3_labels.tif" in labels
    assert "a_field1_png_labels.tif" in labels
    # The outputs lie inside the input folder and are not taken for images.
    assert run(*arguments).exit_code == 0
    assert len(segmenter.seen) == 6


def test_submission_ids_are_those_of_the_other_outputs(
    run: Run, segmenter: ThresholdSegmenter, pictures: Path, stack: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with Image.open(pictures / "field1.png") as image:
        image.save(pictures / "field1.jpg", quality=95)
    tifffile.imwrite(pictures / "field1.tif", squares(1))
    shutil.copy(stack, pictures / "series.ome.tif")
    shutil.copy(pictures / "field2.png", pictures / "series_2.png")
    options = ("--model", "squares", "--format", "submission,labels")
    assert run("segment", pictures, "-o", out, *options).exit_code == 0
    rows = (out / "submission.csv").read_text().splitlines()[1:]
    ids = list(dict.fromkeys(row.split(",")[0] for row in rows))
    planes = ["series_0", "series_1", "series_2"]
    assert ids == [
        "field1_jpg",
        "field1_png",
        "field1_tif",
        "field2",
        "field3",
        *planes,
        "series_2_2",
    ]
    labels = {path.name.removesuffix("_labels.tif") for path in out.glob("*_labels.tif")}
    assert labels == {*ids} - {*planes, "series_2_2"} | {"series", "series_2"}


def test_outputs_beside_the_images_are_not_taken_as_inputs(
    run: Run, segmenter: ThresholdSegmenter, pictures: Path
) -> None:
    arguments = ("segment", pictures, "-o", pictures, "--model", "squares")
    assert run(*arguments).exit_code == 0
    assert run(*arguments).exit_code == 0
    assert len(segmenter.seen) == 6


def test_labels_beside_their_image_are_no_images(
    run: Run, segmenter: ThresholdSegmenter, pictures: Path, tmp_path: Path
) -> None:
    one = (pictures / "field1.png").read_bytes()
    for name in ("field1_labels.png", "field1_overlay.PNG", "alone_mask.png"):
        (pictures / name).write_bytes(one)
    done = run("segment", pictures, "-o", tmp_path / "o", "--model", "squares")
    assert done.exit_code == 0
    assert len(segmenter.seen) == 4
    assert "left out 2 pictures that are labels or overlays" in done.stderr
    assert "field1_labels.png" in done.stderr
    named = run(
        "segment", pictures / "field1_labels.png", "-o", tmp_path / "p", "--model", "squares"
    )
    assert named.exit_code == 0
    assert len(segmenter.seen) == 5


def test_the_same_file_named_twice_is_done_once(
    run: Run, segmenter: ThresholdSegmenter, pictures: Path, tmp_path: Path
) -> None:
    image = pictures / "field1.png"
    assert run("segment", image, pictures, image, "-o", tmp_path / "o", "--model", "squares")
    assert len(segmenter.seen) == 3


BAD_FILES = {
    "empty.tif": b"",
    "text.png": b"this is text, not a picture",
    "cut.tif": b"II*\0\x08\0\0\0",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_single_bad_file_leaves_nothing_behind(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(BAD_FILES[name])
    result = run("segment", path, "-o", tmp_path / "new" / "out", "--model", "squares")
    assert result.exit_code == 1
    assert str(path) in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.arange(2048, dtype=np.uint16).reshape(2, 2, 2, 16, 16), "dimensions"),
        (np.array([[1.0, np.nan] * 8] * 16, np.float32), "NaN"),
        (np.zeros((1, 1), np.uint8), "1 x 1"),
        (np.zeros((32, 32), np.uint8), "blank"),
        (np.zeros((3, 32, 32), np.float32), "blank"),
        (np.ones((16, 16), np.complex64) * np.arange(16), "complex"),
    ],
    ids=["5-dimensional", "nan", "1 x 1", "all black", "all planes black", "complex"],
)
def test_unusable_pixels_are_one_sentence(
    run: Run, segmenter: ThresholdSegmenter, tmp_path: Path, array: np.ndarray, expected: str
) -> None:
    path = tmp_path / "bad.tif"
    tifffile.imwrite(path, array)
    result = run("segment", path, "-o", tmp_path / "out", "--model", "squares")
    assert result.exit_code == 1
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert str(path) in error
    assert expected in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--model", "unknown"), "there is no model 'unknown'; known models: "),
        (("--model", "squares", "--device", "gpu"), "device"),
        (("--model", "squares", "--preset", "turbo"), "preset"),
        (("--model", "squares", "--min-score", "7"), "min_score"),
        (("--model", "squares", "--max-objects", "0"), "max_objects_per_tile"),
        (("--model", "squares", "--diameter", "-3"), "diameter"),
        (("--model", "squares", "--tile", "big"), "--tile"),
        (("--model", "squares", "--tile", "3"), "tile"),
        (("--model", "squares", "--format", "coco,xml"), "'xml'"),
        (("--model", "squares", "--format", ","), "format"),
    ],
)
def test_wrong_options_are_one_sentence(
    run: Run,
    segmenter: ThresholdSegmenter,
    pictures: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    expected: str,
) -> None:
    result = run("segment", pictures, "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 1
    (error,) = result.stderr.splitlines()
    assert expected in error
    assert not (tmp_path / "out").exists()
    assert segmenter.seen == []


def test_missing_and_empty_inputs(
    run: Run, segmenter: ThresholdSegmenter, pictures: Path, tmp_path: Path
) -> None:
    options = ("-o", tmp_path / "out", "--model", "squares")
    missing = run("segment", pictures, tmp_path / "nowhere.png", *options)
    assert missing.exit_code == 1
    assert "nowhere.png does not exist" in missing.stderr
    outer = tmp_path / "outer"
    shutil.copytree(pictures, outer / "inner")
    hint = run("segment", outer, *options)
    assert hint.exit_code == 1
    assert "--recursive" in hint.stderr
    assert not (tmp_path / "out").exists()


def test_weights_that_do_not_match_the_card(
    run: Run, model: object, pictures: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "models" / "squares" / "weights.safetensors"
    weights.write_bytes(b"exchanged")
    pytest.importorskip("napari_sartorius.inference.segmenter")
    result = run("segment", pictures, "-o", tmp_path / "out", "--model", "squares")
    assert result.exit_code == 1
    _, error = result.stderr.splitlines()  # after what the run would have cost
    assert "checksum" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name == "nt", reason="folder permissions work differently on Windows")
def test_read_only_output_folder(
    run: Run,
    segmenter: ThresholdSegmenter,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    if os.access(locked, os.W_OK):  # the superuser may write everywhere: use a file in the way
        locked.rmdir()
        locked.write_text("a file, not a folder")
    result = run("segment", pictures, "-o", locked / "out", "--model", "squares")
    assert result.exit_code == 1
    assert "cannot be written to" in result.stderr
    assert segmenter.seen == []


def test_a_full_disk_stops_the_run_at_once(
    run: Run,
    segmenter: ThresholdSegmenter,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tifffile.imwrite", full)
    result = run("segment", pictures, "-o", tmp_path / "out", "--model", "squares")
    assert result.exit_code == 1
    assert "disk is full" in result.stderr
    assert len(segmenter.seen) == 1
    assert not (tmp_path / "out").exists()


def test_what_was_written_of_an_image_that_fails_is_taken_back(
    run: Run,
    segmenter: ThresholdSegmenter,
    stack: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    original = segmenter.segment

    def fail_on_last(image: np.ndarray, **options: object) -> object:
        if len(segmenter.seen) == 2:
            assert listing(out) == ["series_t0_overlay.png", "series_t1_overlay.png"]
            raise RuntimeError("no kernel")
        return original(image, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(segmenter, "segment", fail_on_last)
    assert run("segment", stack, "-o", out, "--model", "squares").exit_code == 1
    assert not out.exists()


def test_what_a_killed_run_left_half_written_is_ignored_and_removed(
    run: Run, segmenter: ThresholdSegmenter, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ("segment", pictures, "-o", out, "--model", "squares", "--resume")
    assert run(*arguments).exit_code == 0
    first = (out / "instances.json").read_bytes()
    # Killed after the record of an image was written whole but before it took its name.
    records = out / ".sartorius-run" / "images"
    nameless = records / ".field2.0123abcd.part.json"
    (records / "field2.json").rename(nameless)
    half = out / ".field2_labels.89abcdef.part.tif"
    half.write_bytes(b"half")
    for path in (nameless, half):
        os.utime(path, (0, 0))
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert len(segmenter.seen) == 4
    assert (out / "instances.json").read_bytes() == first
    assert not nameless.exists()
    assert not half.exists()


@pytest.mark.parametrize("place", ["outputs.write_table", "outputs.write_overlay"])
def test_an_interrupt_between_two_files_of_an_image_takes_back_both(
    run: Run,
    segmenter: ThresholdSegmenter,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    _interrupt_after(monkeypatch, place, call=2)
    out = tmp_path / "out"
    assert run("segment", pictures, "-o", out, "--model", "squares").exit_code == 130
    assert [name for name in listing(out) if not name.startswith("field1_")] == []
    assert len(listing(out)) == 3


def test_an_interrupt_right_after_the_record_keeps_the_image(
    run: Run,
    segmenter: ThresholdSegmenter,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _interrupt_after(monkeypatch, "journal.write_coco", call=2)
    out = tmp_path / "out"
    assert run("segment", pictures, "-o", out, "--model", "squares").exit_code == 130
    assert {name.partition("_")[0] for name in listing(out)} == {"field1", "field2"}
    assert len(listing(out)) == 6


def _interrupt_after(monkeypatch: pytest.MonkeyPatch, place: str, call: int) -> None:
    """Ctrl+C right after that call of a function has written its file."""
    where = f"napari_sartorius.engine.batch.{place}"
    module, _, name = where.rpartition(".")
    original = getattr(importlib.import_module(module), name)
    calls: list[int] = []

    def write(*arguments: object, **options: object) -> None:
        original(*arguments, **options)
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt

    monkeypatch.setattr(where, write)
