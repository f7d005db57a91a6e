"""The program as a whole: help without torch, errors as sentences, and the small verbs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from cli_fakes import ThresholdSegmenter, squares
from real_program import start

from napari_sartorius import __version__
from napari_sartorius.cli.errors import one_sentence
from napari_sartorius.core.categories import Category
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.coco import CocoDataset, CocoImage, write_coco, write_coco_results
from napari_sartorius.postprocess.shape_table import read_shape_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    from napari_sartorius.zoo import ModelCard

    Run = Callable[..., Result]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["segment", "--help"], ["models", "list"], ["--version"]]
)
def test_light_commands_load_neither_torch_nor_qt(arguments: list[str]) -> None:
    code = (
        f"import sys\nsys.path[:] = {sys.path!r}\n"
        "from napari_sartorius.cli.main import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'torchvision', 'timm', 'qtpy', 'napari', 'skimage'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_version(run: Run) -> None:
    assert run("--version").stdout.strip() == f"napari-sartorius {__version__}"


def test_the_package_can_be_run(tmp_path: Path) -> None:
    for module in ("napari_sartorius", "napari_sartorius.__main__"):
        done = subprocess.run(
            [sys.executable, "-m", module, "segment", "nothing.tif", "-o", "out"],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.returncode == 1
        assert done.stderr.endswith("Error: nothing.tif does not exist: check the path.\n")


def test_ctrl_c_while_the_program_starts_is_a_stop() -> None:
    code = (
        f"import sys\nsys.path[:] = {sys.path!r}\n"
        "class Impatient:\n"
        "    def find_spec(self, name, *others):\n"
        "        if name == 'napari_sartorius.cli.segment':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Impatient())\n"
        "from napari_sartorius.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (130, "Stopped.\n")


def test_every_verb_is_there(run: Run) -> None:
    text = run("--help").stdout
    for verb in ("segment", "evaluate", "train", "models", "doctor", "demo"):
        assert verb in text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows reports closed pipes otherwise")
@pytest.mark.parametrize(
    "arguments", [["train", "--help"], ["recipes", "show", "light"], ["models", "list"]]
)
def test_a_reader_that_leaves_ends_the_program_quietly(arguments: list[str]) -> None:
    process = start(*arguments)
    assert process.stdout is not None
    process.stdout.close()  # as `head` does
    process.stdout = None
    _, said = process.communicate(timeout=240)
    assert said == ""
    assert process.returncode == 1


def test_a_pipe_to_another_process_that_breaks_is_reported(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("napari_sartorius.zoo.scan_bundles", broken)
    told = run("models", "list")
    assert told.exit_code == 1
    assert "unexpected BrokenPipeError" in told.stderr


def test_debug_shows_the_traceback(run: Run, model: ModelCard, pictures: Path) -> None:
    options = ("segment", pictures, "-o", pictures / "out", "--model", "nothing")
    assert isinstance(run("--debug", *options).exception, UserError)
    plain = run(*options)
    assert isinstance(plain.exception, SystemExit)
    assert plain.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UserError("a.tif is\nempty"), "a.tif is empty"),
        (MemoryError(), "--tile"),
        (RuntimeError("CUDA out of memory"), "--tile"),
        (OSError(12, "Cannot allocate memory"), "--tile"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "--tile"),
        (ModuleNotFoundError("x", name="timm"), "timm is missing"),
        (KeyError("k"), "unexpected KeyError"),
    ],
)
def test_whatever_happens_is_one_line(error: Exception, expected: str) -> None:
    sentence = one_sentence(error)
    assert expected in sentence
    assert "\n" not in sentence


def test_models_list_and_show(run: Run, model: ModelCard) -> None:
    listed = run("models", "list")
    assert "squares" in listed.stdout
    assert "round, flat" in listed.stdout
    shown = run("models", "show", "squares")
    for text in ("CC0-1.0", "competition_map: 0.5", "dark squares", "4 px"):
        assert text in shown.stdout
    figure = "  competition mAP, thresholds tuned on other images: 0.5875\n"
    assert figure in run("models", "show", "nuclei").stdout
    unknown = run("models", "show", "nothing")
    assert unknown.exit_code == 1
    assert "there is no model 'nothing'" in unknown.stderr


def test_help_says_which_models_use_a_pixel_size(run: Run) -> None:
    text = " ".join(run("segment", "--help").stdout.replace("│", " ").split())
    assert "The bundled ones name none: give them --diameter." in text


def test_doctor_names_what_is_there_and_the_first_thing_to_fix(run: Run, model: ModelCard) -> None:
    result = run("doctor")
    assert result.exit_code == 0
    for text in ("napari-sartorius", "Python", "torch", "Device", "Memory", "squares"):
        assert text in result.stdout
    assert result.stdout.count("To fix:") + result.stdout.count("Nothing to fix.") == 1


def test_doctor_finds_a_damaged_model(run: Run, model: ModelCard, tmp_path: Path) -> None:
    (tmp_path / "models" / "squares" / "weights.safetensors").write_bytes(b"damaged")
    result = run("doctor")
    (remedy,) = [line for line in result.stdout.splitlines() if line.startswith("To fix:")]
    assert "checksum" in remedy


def dataset(counts: dict[str, int], shift: int = 0) -> CocoDataset:
    """One image per name with that many squares, all moved to the right."""
    images, instances = [], {}
    for number, (name, count) in enumerate(counts.items(), start=1):
        labels = np.roll(squares(count) > 100, shift, axis=1)
        bitmaps = [np.ones((4, 4), bool)] * count
        ys, _ = np.nonzero(labels)
        assert len(ys) == 16 * count
        origins = np.array([(4 + 8 * (i % 7) + shift, 4 + 8 * (i // 7)) for i in range(count)])
        masks = CropMasks.from_bitmaps(bitmaps, origins.reshape(-1, 2), (64, 64))
        images.append(CocoImage(number, name, 64, 64, {"split": "val" if number > 1 else "train"}))
        instances[number] = Instances.from_masks(masks)
    return CocoDataset(images, [Category(1, "round", "#e69f00")], dict(instances))


def test_evaluate_prints_scores_and_json(run: Run, tmp_path: Path) -> None:
    truth, same, moved = tmp_path / "t.json", tmp_path / "s.json", tmp_path / "m.json"
    write_coco(truth, dataset({"a.png": 2, "b.png": 3}))
    write_coco(same, dataset({"b.png": 3, "a.png": 2}))
    write_coco(moved, dataset({"a.png": 2, "b.png": 3}, shift=3))
    perfect = run("evaluate", truth, same, "--json")
    assert perfect.exit_code == 0, perfect.output
    assert json.loads(perfect.stdout)["competition_score"] == 1.0
    assert json.loads(run("evaluate", truth, moved, "--json").stdout)["competition_score"] == 0.0
    text = run("evaluate", truth, same).stdout
    for word in ("a.png", "round", "AP50"):
        assert word in text
    val = json.loads(run("evaluate", truth, same, "--split", "val", "--json").stdout)
    assert [image["file_name"] for image in val["images"]] == ["b.png"]


def test_evaluate_takes_a_results_list(run: Run, tmp_path: Path) -> None:
    truth, results = tmp_path / "t.json", tmp_path / "r.json"
    write_coco(truth, dataset({"a.png": 2}))
    write_coco_results(results, dataset({"a.png": 2}))
    result = run("evaluate", truth, results, "--json")
    assert json.loads(result.stdout)["competition_score"] == 1.0


def test_evaluate_counts_as_asked_and_writes_a_report(run: Run, tmp_path: Path) -> None:
    truth, found, folder = tmp_path / "t.json", tmp_path / "f.json", tmp_path / "report"
    write_coco(truth, dataset({"a.png": 2, "b.png": 3}))
    write_coco(found, dataset({"b.png": 2}))
    refused = run("evaluate", truth, found)
    assert refused.exit_code == 1 and "--partial" in refused.output
    arguments = ("evaluate", truth, found, "--partial", "--max-detections", "1")
    result = run(*arguments, "--variant", "t4e", "--report", folder, "--json")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["variant"] == "t4e"
    assert content["max_detections"] == 1 and "ar1" in content
    assert [image["count_error"] for image in content["images"]] == [-1]
    assert json.loads((folder / "report.json").read_text())["variant"] == "t4e"
    assert "f.json against t.json" in (folder / "report.html").read_text("utf-8")
    assert str(folder / "report.html") in run(*arguments, "--report", folder).stdout
    wrong = run("evaluate", truth, found, "--variant", "best")
    assert wrong.exit_code == 1 and "corrected, theoviel" in wrong.output


def test_shapes_prints_and_writes_tables(run: Run, tmp_path: Path) -> None:
    data, table, page = tmp_path / "d.json", tmp_path / "shapes.json", tmp_path / "page.html"
    write_coco(data, dataset({"a.png": 2, "b.png": 3}))
    rows = tmp_path / "rows.csv"
    result = run("shapes", data, "-o", table, "--statistics", rows, "--histograms", page)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1].split()[:4] == ["area", "round", "5", "16.000"]
    assert read_shape_table(table).range("area", "round") == (16, 16)
    assert len(rows.read_text().splitlines()) == len(result.stdout.splitlines())
    assert page.read_text("utf-8").count("<svg") == 1
    published = run("shapes", data, "--compat", "mistag").stdout.splitlines()[1].split()
    assert float(published[4]) > 16
    assert "no objects of the split 'test'" in run("shapes", data, "--split", "test").output
    assert "choose mistag" in run("shapes", data, "--compat", "other").output


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "bad.json"),
        ("not json", "bad.json"),
        ('{"images": []}', "annotations"),
        (
            '{"images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}],'
            '"categories": [{"id": 1, "name": "round"}],'
            '"annotations": [{"id": 1, "image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1],'
            '"segmentation": {"size": [64, 64], "counts": [4096]}}]}',
            "9",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}],'
            '"categories": [{"id": 1, "name": "round"}],'
            '"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1],'
            '"segmentation": {"size": [64, 64], "counts": [4, 4]}}]}',
            "bad.json",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}],'
            '"categories": [{"id": 1, "name": "round"}],'
            '"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, -1, 1],'
            '"segmentation": {"size": [64, 64], "counts": [0, 4, 4092]}}]}',
            "bbox",
        ),
    ],
    ids=["empty", "no json", "no coco", "dangling id", "wrong length", "negative box"],
)
def test_evaluate_refuses_bad_files_in_one_sentence(
    run: Run, tmp_path: Path, content: str, expected: str
) -> None:
    truth, bad = tmp_path / "t.json", tmp_path / "bad.json"
    write_coco(truth, dataset({"a.png": 2}))
    bad.write_text(content)
    for arguments in ((truth, bad), (bad, truth)):
        result = run("evaluate", *arguments)
        assert result.exit_code == 1
        (line,) = result.stderr.splitlines()
        assert "bad.json" in line
        assert expected in line


def test_train_refuses_bad_configurations(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("napari_sartorius.training.run")
    data = tmp_path / "t.json"
    write_coco(data, dataset({"a.png": 2}))
    config = tmp_path / "config.json"
    config.write_text('{"architecture": {"num_classes": 1}, "stepz": 3}')
    wrong = run("train", "--data", data, "--out", tmp_path / "out", "--config", config)
    assert wrong.exit_code == 1
    assert "stepz" in wrong.stderr
    missing = run("train", "--data", tmp_path / "no.json", "--out", tmp_path / "out")
    assert missing.exit_code == 1
    assert "no.json" in missing.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("has_napari", [True, False])
def test_demo_segments_both_samples(
    run: Run,
    segmenter: ThresholdSegmenter,
    model: ModelCard,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    has_napari: bool,
) -> None:
    monkeypatch.setattr(
        "napari_sartorius.cli.demo.find_spec", lambda _: object() if has_napari else None
    )
    for name in ("nuclei", "neurons"):
        folder = tmp_path / "models" / name
        folder.mkdir()
        (folder / "model.json").write_text(model.with_changes(name=name).model_dump_json())
    out = tmp_path / "demo"
    result = run("demo", "--out", out)
    assert result.exit_code == 0, result.output
    assert "immunohistochemistry with nuclei" in result.stdout
    assert "Plugins > Sartorius" in result.stdout
    assert ("pip install" in result.stdout) == (not has_napari)
    for model_name, image in (("nuclei", "immunohistochemistry"), ("neurons", "phase_contrast")):
        written = {path.name for path in (out / model_name).iterdir() if path.is_file()}
        assert written == {
            f"{image}.png",
            f"{image}_labels.tif",
            f"{image}_objects.csv",
            f"{image}_overlay.png",
            "instances.json",
        }
