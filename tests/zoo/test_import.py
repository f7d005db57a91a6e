"""A lab's checkpoint becomes a model like any other, on the command line and in Python."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from napari_sartorius import load_model, segment
from napari_sartorius.cli.main import app
from napari_sartorius.core.errors import UserError
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.nn.config import CascadeMaskRCNNConfig
from napari_sartorius.nn.stock import stock_mask_rcnn
from napari_sartorius.zoo import InputSize, ModelBundle, list_bundles
from napari_sartorius.zoo.checkpoints import import_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

YAML = """
_BASE_: ../Base-RCNN-FPN.yaml
MODEL:
  WEIGHTS: somewhere.pkl
  MASK_ON: true
  RESNETS: {DEPTH: 18, RES2_OUT_CHANNELS: 16}
  ANCHOR_GENERATOR:
    SIZES: [[8], [16], [32], [64], [128]]
    ASPECT_RATIOS: [[0.5, 1.0, 2.0]]
  ROI_HEADS: {NUM_CLASSES: 2, SCORE_THRESH_TEST: 0.1}
  ROI_BOX_HEAD: {BBOX_REG_WEIGHTS: "(10, 10, 5, 5)"}
INPUT: {MIN_SIZE_TEST: 96, MAX_SIZE_TEST: 160, FORMAT: BGR}
SOLVER: {STEPS: (100, 200), BASE_LR: 0.01}
TEST: {DETECTIONS_PER_IMAGE: 50}
VERSION: 2
"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's models folder."""
    folder = tmp_path / "models"
    monkeypatch.setenv("SARTORIUS_MODELS", str(folder))
    return folder


@pytest.fixture
def checkpoint(tiny_weights: dict[str, torch.Tensor], tmp_path: Path) -> Path:
    path = tmp_path / "model_final.pth"
    torch.save({"model": tiny_weights, "iteration": 99, "optimizer": {"state": {}}}, path)
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(YAML)
    return path


def _run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_from_the_checkpoint_to_masks_on_the_command_line(
    models: Path, checkpoint: Path, config: Path, tmp_path: Path
) -> None:
    done = _run(
        *("models", "import", checkpoint, "--config", config),
        *("--name", "ours", "--categories", "round, long"),
    )
    assert done.exit_code == 0, done.output
    assert "141 tensors used, 0 ignored" in done.output
    assert "_BASE_: ../Base-RCNN-FPN.yaml was not read" in done.output
    assert "Imported from model_final.pth (round, long)" in _run("models", "list").output
    shown = _run("models", "show", "ours").output
    assert "Finds:          round, long" in shown
    assert "score 0.1" in shown

    picture = tmp_path / "field.png"
    pixels = np.random.default_rng(4).integers(0, 255, (70, 110, 3), np.uint8)
    Image.fromarray(pixels).save(picture)
    output = tmp_path / "out"
    run = _run(
        *("segment", picture, "-o", output, "--model", "ours"),
        *("--preset", "fast", "--device", "cpu", "--format", "coco"),
    )
    assert run.exit_code == 0, run.output
    found = json.loads((output / "instances.json").read_text())
    assert [c["name"] for c in found["categories"]] == ["round", "long"]
    assert len(found["annotations"]) > 3
    assert {a["category_id"] for a in found["annotations"]} <= {1, 2}
    assert sorted(p.name for p in models.iterdir()) == ["ours"]
    assert sorted(p.name for p in (models / "ours").iterdir()) == [
        "import.json",
        "model.json",
        "weights.safetensors",
    ]


def test_the_card_says_what_the_configuration_said(
    models: Path, checkpoint: Path, config: Path
) -> None:
    card = import_checkpoint(checkpoint, config=config, name="ours").bundle.card
    assert card.category_names == ["class1", "class2"]
    assert card.input_size == InputSize(short_edge=96, long_edge=160)
    assert (card.max_objects, card.box_nms) == (50, None)
    assert card.views["balanced"] == ("identity",)
    assert card.whole_grey_levels
    assert card.normalisation == Normalisation(
        method="fixed", mean=(103.53, 116.28, 123.675), std=(1.0, 1.0, 1.0), channel_order="BGR"
    )
    assert card.cell_diameter == 8
    assert card.architecture.trunk.name == "resnet18"
    assert card.architecture.trunk.widths == (16, 32, 64, 128)
    assert card.architecture.proposals.anchor_sizes[1] == (16.0,)
    assert card.architecture.box_head.layers == 2
    assert card.architecture.mask_head.layers == 1
    assert ModelBundle.open(models / "ours").card == card


def test_every_tensor_reaches_its_layer_in_full_precision(
    models: Path, checkpoint: Path, tiny_weights: dict[str, torch.Tensor]
) -> None:
    imported = import_checkpoint(checkpoint, name="ours")
    state = imported.bundle.load_network().state_dict()
    for theirs, ours in {
        "backbone.bottom_up.stem.conv1.norm.running_var": "trunk.body.bn1.running_var",
        "backbone.bottom_up.res3.0.shortcut.weight": "trunk.body.layer2.0.downsample.0.weight",
        "backbone.bottom_up.res5.1.conv2.norm.bias": "trunk.body.layer4.1.bn2.bias",
        "backbone.fpn_lateral2.weight": "pyramid.lateral.0.0.weight",
        "backbone.fpn_output5.bias": "pyramid.output.3.0.bias",
        "proposal_generator.rpn_head.anchor_deltas.weight": "proposals.head.deltas.weight",
        "roi_heads.box_head.fc2.weight": "box_head.layers.2.weight",
        "roi_heads.box_predictor.cls_score.weight": "box_head.class_logits.weight",
        "roi_heads.mask_head.deconv.weight": "mask_head.upsample.weight",
    }.items():
        torch.testing.assert_close(state[ours], tiny_weights[theirs], rtol=0, atol=0)
    used = imported.report.of("used")
    assert [note.name for note in used] == list(tiny_weights)
    assert {note.reason for note in used} | {n.name for n in imported.report.of("missing")} == set(
        state
    )


def _with_extras(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    extras = {
        "pixel_mean": torch.tensor([10.0, 20.0, 30.0]).reshape(3, 1, 1),
        "pixel_std": torch.full((3, 1, 1), 2.0),
        "backbone.bottom_up.stem.conv1.norm.num_batches_tracked": torch.tensor(5),
    }
    for level, size in enumerate((10, 20, 40, 80, 160)):
        half = torch.tensor([[2**0.5, 0.5**0.5], [1, 1], [0.5**0.5, 2**0.5]]) * size / 2
        extras[f"proposal_generator.anchor_generator.cell_anchors.{level}"] = torch.cat(
            [-half, half], 1
        )
    return weights | extras


def test_what_old_versions_stored_is_read_and_reported(
    models: Path, tiny_weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "old.pth"
    torch.save({"model": _with_extras(tiny_weights)}, path, _use_new_zipfile_serialization=False)
    imported = import_checkpoint(path)
    assert imported.bundle.card.name == "old"
    assert imported.bundle.card.normalisation.mean == (10, 20, 30)
    assert imported.bundle.card.normalisation.std == (2, 2, 2)
    proposals = imported.bundle.card.architecture.proposals
    assert proposals.anchor_sizes == ((10.0,), (20.0,), (40.0,), (80.0,), (160.0,))
    assert proposals.anchor_ratios == (0.5, 1.0, 2.0)
    ignored = imported.report.of("ignored")
    assert len(ignored) == 8
    assert all(note.reason for note in ignored)
    assert not any("anchors" in sentence for sentence in imported.report.assumptions)


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model."])
def test_names_behind_a_wrapper(
    models: Path, tiny_weights: dict[str, torch.Tensor], tmp_path: Path, prefix: str
) -> None:
    path = tmp_path / "wrapped.pth"
    torch.save({prefix + name: value for name, value in tiny_weights.items()}, path)
    assert len(import_checkpoint(path).report.of("used")) == 141


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_of_arrays(
    models: Path, tiny_weights: dict[str, torch.Tensor], tmp_path: Path, protocol: int
) -> None:
    path = tmp_path / "zoo.pkl"
    arrays = {name: value.numpy() for name, value in tiny_weights.items()}
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "someone"}, protocol))
    torch_file = tmp_path / "same.pth"
    torch.save(tiny_weights, torch_file)
    one, other = import_checkpoint(path), import_checkpoint(torch_file)
    assert one.bundle.card.sha256 == other.bundle.card.sha256


def _changed(
    weights: dict[str, torch.Tensor], change: Callable[[dict[str, Any]], object]
) -> dict[str, Any]:
    changed = dict(weights)
    change(changed)
    return changed


RES = "backbone.bottom_up"
CLS = "roi_heads.box_predictor.cls_score"
DAMAGE: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda w: w.pop("backbone.fpn_output3.bias"), r"lacks pyramid\.output\.1\.0\.bias of the"),
    (lambda w: w.pop("roi_heads.mask_head.predictor.weight"), "incomplete or of another network"),
    (lambda w: w.update({f"{CLS}.bias": torch.full((3,), torch.nan)}), "holds NaN"),
    (lambda w: w.update({f"{CLS}.bias": torch.zeros(7)}), "has the shape 7, where 3"),
    (lambda w: w.update({f"{CLS}.weight": torch.zeros(())}), "has the shape of one number"),
    (lambda w: w.update({f"{CLS}.bias": torch.zeros(3, dtype=torch.bool)}), "no numbers"),
    (lambda w: w.update({"roi_heads.extra.weight": torch.zeros(3)}), "does not have"),
    (
        lambda w: w.update({f"{RES}.res3.0.conv2_offset.weight": torch.zeros(18, 64, 3, 3)}),
        "deformable",
    ),
    (
        lambda w: w.update({"proposal_generator.fcos_head.cls_logits.bias": torch.zeros(3)}),
        "CenterMask",
    ),
    (lambda w: _drop(w, "res3.1"), "2-1-2-2"),
    (
        lambda w: w.update(
            {"proposal_generator.rpn_head.objectness_logits.weight": torch.zeros(5, 16, 1, 1)}
        ),
        "5 anchors at each place",
    ),
    (lambda w: w.update({"big": torch.zeros(1).expand(10**9)}), "more than any known"),
    (lambda w: w.update({f"{CLS}.bias": torch.zeros(3).to_sparse()}), "cannot be read"),
    (lambda w: w.clear(), "not a checkpoint"),
    (lambda w: (w.clear(), w.update(fc=torch.zeros(2, 2))), "no tensor is called"),
]


def _drop(weights: dict[str, Any], part: str) -> None:
    for name in [n for n in weights if part in n]:
        del weights[name]


@pytest.mark.parametrize(("change", "words"), DAMAGE)
def test_a_checkpoint_that_does_not_fit_is_one_sentence_and_leaves_nothing(
    models: Path,
    tiny_weights: dict[str, torch.Tensor],
    tmp_path: Path,
    change: Callable[[dict[str, Any]], object],
    words: str,
) -> None:
    path = tmp_path / "odd.pth"
    torch.save({"model": _changed(tiny_weights, change)}, path)
    before = [bundle.card.name for bundle in list_bundles()]
    run = _run("models", "import", path)
    assert run.exit_code == 1
    assert run.output.startswith("Error: ")
    assert str(path) in run.output
    assert run.output.count("\n") == 1
    with pytest.raises(UserError, match=words):
        import_checkpoint(path)
    assert not models.exists() or not list(models.iterdir())
    assert [bundle.card.name for bundle in list_bundles()] == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "no section MODEL"),
        ("a: [", "not a readable YAML"),
        ("MODEL: !!python/object/apply:os.system ['true']", "not a readable YAML"),
        ("MODEL: {META_ARCHITECTURE: RetinaNet}", "META_ARCHITECTURE is RetinaNet"),
        ("MODEL: {VOVNET: {DEPTH: 39}}", "MODEL.VOVNET.DEPTH"),
        ("MODEL: {ROI_BOX_HEAD: {POOLER_TYPE: ROIAlign}}", "ROIAlignV2"),
        ("MODEL: {ROI_HEADS: {NUM_CLASSES: 80}}", "speaks of 80 classes"),
        ("MODEL: {ANCHOR_GENERATOR: {SIZES: [[8], [16]]}}", "each of 5 levels"),
        ("MODEL: {ANCHOR_GENERATOR: {SIZES: many}}", "lists of numbers"),
        ("MODEL: {ANCHOR_GENERATOR: {SIZES: [[8, 9], [16], [3], [4], [5]]}}", "anchors"),
        ("MODEL: {PIXEL_MEAN: [1, 2]}", "a list of 3 numbers"),
        ("MODEL: {PIXEL_MEAN: [1, 2, .nan]}", "a list of 3 numbers"),
        ("MODEL: {PIXEL_STD: [1, 0, 1]}", "above 0"),
        ("MODEL: {RPN: {POST_NMS_TOPK_TEST: 0}}", "a whole number from 1 on"),
        ("MODEL: {RPN: {PRE_NMS_TOPK_TEST: .inf}}", "one number"),
        ("MODEL: {ROI_MASK_HEAD: {POOLER_RESOLUTION: 0}}", "a whole number from 1 on"),
        ("MODEL: {ROI_BOX_HEAD: {BBOX_REG_WEIGHTS: [0, 1, 1, 1]}}", "above 0"),
        ("MODEL: {ANCHOR_GENERATOR: {SIZES: [[-8]]}}", "above 0"),
        ("MODEL: {ROI_HEADS: {SCORE_THRESH_TEST: 7}}", "no usable network"),
        ("MODEL: {RESNETS: {NUM_GROUPS: 32}}", "NUM_GROUPS is 32"),
        ("MODEL: {RPN: {NMS_THRESH: high}}", "expected one number"),
        ("MODEL: {}\nINPUT: {MIN_SIZE_TEST: 4}", "no usable network"),
    ],
)
def test_a_configuration_that_does_not_fit_is_one_sentence(
    models: Path, checkpoint: Path, config: Path, text: str, words: str
) -> None:
    config.write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        import_checkpoint(checkpoint, config=config)
    assert str(config) in str(caught.value)
    assert not models.exists()


def test_a_configuration_must_agree_with_what_is_stored(
    models: Path, tiny_weights: dict[str, torch.Tensor], tmp_path: Path, config: Path
) -> None:
    path = tmp_path / "old.pth"
    torch.save(_with_extras(tiny_weights), path)
    with pytest.raises(UserError, match="other anchors than those stored"):
        import_checkpoint(path, config=config)
    config.write_text("MODEL: {PIXEL_MEAN: [1, 2, 3]}")
    with pytest.raises(UserError, match="PIXEL_MEAN is not the one stored"):
        import_checkpoint(path, config=config)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "neurons"}, "called neurons already"),
        ({"name": "../up"}, "cannot be called"),
        ({"name": ""}, "cannot be called"),
        ({"categories": ["a"]}, "2 categories but 1 name was"),
        ({"categories": ["a", "a"]}, "same name"),
        ({"categories": ["a", ""]}, "has none"),
        ({"cell_diameter": -1.0}, "not possible"),
        ({"config": "nowhere.yaml"}, r"nowhere\.yaml cannot be read"),
    ],
)
def test_impossible_wishes(
    models: Path, checkpoint: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        import_checkpoint(checkpoint, **options)
    assert not models.exists()


def test_a_name_is_not_given_twice(models: Path, checkpoint: Path) -> None:
    first = import_checkpoint(checkpoint).bundle
    assert first.card.name == "model_final"
    with pytest.raises(UserError, match="model_final already; choose another name with --name"):
        import_checkpoint(checkpoint)
    assert ModelBundle.open(first.path).card == first.card


def test_what_an_interrupted_import_left_is_no_model(models: Path, checkpoint: Path) -> None:
    whole = import_checkpoint(checkpoint).bundle.path
    whole.rename(models / ".model_final.0a1b2c3d.part")
    assert "model_final" not in [bundle.card.name for bundle in list_bundles()]


def test_an_error_while_writing_leaves_nothing(
    models: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_sartorius.zoo.checkpoints.importing.write_text", full)
    with pytest.raises(UserError, match="disk is full"):
        import_checkpoint(checkpoint)
    assert not list(models.iterdir())


@pytest.mark.parametrize("depth", [50, 101])
def test_presets_are_valid_trees(depth: Any) -> None:
    tree = stock_mask_rcnn(depth, 3)
    assert tree.trunk.name == f"resnet{depth}"
    assert type(tree).model_validate_json(tree.model_dump_json()) == tree


def test_a_cascade_is_recognised_and_segments(
    models: Path, tiny_cascade: dict[str, torch.Tensor], tmp_path: Path, config: Path
) -> None:
    path = tmp_path / "cascade.pth"
    torch.save({"model": tiny_cascade}, path)
    with pytest.raises(UserError, match=r"StandardROIHeads but .* has 3 box heads"):
        config.write_text("MODEL: {ROI_HEADS: {NAME: StandardROIHeads}}")
        import_checkpoint(path, config=config)
    config.write_text("MODEL: {ROI_BOX_CASCADE_HEAD: {IOUS: [0.5, 0.6]}}")
    with pytest.raises(UserError, match="3 box heads need as many rows"):
        import_checkpoint(path, config=config)
    text = YAML.replace("SCORE_THRESH_TEST: 0.1", "SCORE_THRESH_TEST: 0.1, NAME: CascadeROIHeads")
    config.write_text(text)
    bundle = import_checkpoint(path, config=config).bundle
    tree = bundle.card.architecture
    assert isinstance(tree, CascadeMaskRCNNConfig)
    assert [stage.delta_weights[0] for stage in tree.stages] == [20, 30]
    assert [stage.positive_iou for stage in tree.stages] == [0.6, 0.7]
    state = bundle.load_network().state_dict()
    torch.testing.assert_close(
        state["later_heads.1.deltas.weight"],
        tiny_cascade["roi_heads.box_predictor.2.bbox_pred.weight"],
        rtol=0,
        atol=0,
    )
    pixels = np.random.default_rng(4).integers(0, 255, (70, 110, 3), np.uint8)
    model = load_model("cascade", device="cpu")
    assert len(segment(pixels, model, min_score=0.05)) > 3
    assert model.segment(pixels).precision == "float32"
    assert model.segment(pixels, precision="bfloat16").precision == "bfloat16"


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        (
            "MODEL: {ROI_HEADS: {NMS_THRESH_TEST: 0.6}}\nTEST: {DETECTIONS_PER_IMAGE: 3000}",
            (0.6, 3000),
        ),
        ("MODEL: {MASK_ON: true}\nTEST: {DETECTIONS_PER_IMAGE: -1}", (None, None)),
        ("MODEL: {MASK_ON: true}", (None, None)),
    ],
)
def test_limits_of_the_configuration_are_the_models(
    models: Path, checkpoint: Path, config: Path, text: str, limits: tuple[Any, Any]
) -> None:
    config.write_text(text)
    imported = import_checkpoint(checkpoint, config=config)
    card = imported.bundle.card
    assert (card.box_nms, card.max_objects) == limits
    assert not imported.report.settings
