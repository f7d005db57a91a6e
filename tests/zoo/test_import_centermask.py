"""A CenterMask2 checkpoint of our own making, from file to masks; what is refused, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import yaml

from golden_comparison import matched_boxes
from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.config import CenterMaskConfig, TrunkConfig, VoVNetConfig
from napari_sartorius.nn.stock_centermask import (
    livecell_centermask,
    stock_centermask,
    stock_centermask_lite,
)
from napari_sartorius.zoo import InputSize
from napari_sartorius.zoo.checkpoints import import_checkpoint
from napari_sartorius.zoo.checkpoints.centermask import CENTERMASK
from napari_sartorius.zoo.checkpoints.formats import format_of
from napari_sartorius.zoo.checkpoints.settings import Settings, read_settings
from tiny_centermask import EXPECTED, YAML, centermask_shapes, found_by, write_tiny

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.zoo.checkpoints import ImportedModel


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> ImportedModel:
    folder = tmp_path_factory.mktemp("centermask")
    checkpoint, config = write_tiny(folder)
    return import_checkpoint(
        checkpoint, config=config, folder=folder / "models", categories=["round", "long"]
    )


def _empty(shapes: dict[str, tuple[int, ...]]) -> dict[str, NDArray[Any]]:
    """Tensors of these shapes that take no memory."""
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}


def test_it_finds_what_it_always_found(imported: ImportedModel) -> None:
    found, result = found_by(imported.bundle)
    expected = {n: np.array(column) for n, column in json.loads(EXPECTED.read_text()).items()}
    # The best 40 are looked for among all, of which the last may differ between computers.
    ours, theirs = matched_boxes(
        expected["boxes"], expected["labels"], found["boxes"], found["labels"], share=0.0
    )
    assert len(ours) == 40
    np.testing.assert_allclose(found["boxes"][theirs], expected["boxes"], atol=0.02)
    for name in ("scores", "mask_scores"):
        np.testing.assert_allclose(found[name][theirs], expected[name], atol=1e-3)
    assert (np.abs(found["areas"][theirs] - expected["areas"]) <= 2).all()
    kept = result.instances
    assert set(kept.columns) == {"box_score", "mask_score"}
    assert len(kept) > 20
    assert len(kept.masks.overlaps()[0]) == 0


def test_everything_in_the_file_is_accounted_for(imported: ImportedModel) -> None:
    report, card = imported.report, imported.bundle.card
    assert len(report.of("used")) == len(report.tensors) - len(report.of("missing"))
    state = imported.bundle.load_network().state_dict()
    used = {note.reason for note in report.of("used")}
    assert used | {note.name for note in report.of("missing")} == set(state)
    assert all(note.name.endswith("num_batches_tracked") for note in report.of("missing"))
    assert isinstance(card.architecture, CenterMaskConfig)
    assert card.architecture.fcos.post_nms_topk_test == 60
    assert card.normalisation.mean == (128.0, 128.0, 128.0)
    assert card.normalisation.std == (11.578, 11.578, 11.578)
    assert card.input_size == InputSize(short_edge=128, long_edge=200)
    assert "no effect" in report.settings["TEST.DETECTIONS_PER_IMAGE"]
    assert "Lee and Park" in card.citation


def test_networks_are_recognised_by_their_shapes_alone(tmp_path: Path) -> None:
    source, path = CENTERMASK, tmp_path / "model.pth"
    for size in ("19-slim", "19", "39", "57", "99"):
        for lite in (True, False):
            width, layers = (128, 2) if lite else (256, 4)
            weights = _empty(centermask_shapes(size, 80, width, layers))
            assert format_of(path, weights) is CENTERMASK
            network = source.describe(path, weights, Settings())
            trunk = VoVNetConfig(size=size)  # type: ignore[arg-type]
            stock = stock_centermask_lite if lite else stock_centermask
            assert network.architecture == stock(trunk, 80)
            edges = (600, 1000) if lite else (800, 1333)
            assert network.input_size == InputSize(short_edge=edges[0], long_edge=edges[1])
            assert any("at most 50 objects" in line for line in network.assumptions)


def test_livecell_is_assumed_for_a_large_network_of_one_class_and_told(tmp_path: Path) -> None:
    source, path = CENTERMASK, tmp_path / "model.pth"
    weights = _empty(centermask_shapes("99", 1, 256, 4))
    network = source.describe(path, weights, Settings())
    assert network.architecture == livecell_centermask()
    assert network.normalisation.std == (11.578, 11.578, 11.578)
    assert any("LIVECell" in line for line in network.assumptions)
    assert any("minus 128, 128, 128" in line for line in network.assumptions)
    # With LIVECell's own configuration nothing of that is an assumption.
    said = """
        MODEL:
          VOVNET: {CONV_BODY: V-99-eSE}
          FCOS: {NUM_CLASSES: 1, PRE_NMS_TOPK_TRAIN: 2000, PRE_NMS_TOPK_TEST: 4000,
                 POST_NMS_TOPK_TRAIN: 15000, POST_NMS_TOPK_TEST: 3000}
          RPN: {BATCH_SIZE_PER_IMAGE: 3000}
          PIXEL_MEAN: [128, 128, 128]
          PIXEL_STD: [11.578, 11.578, 11.578]
    """
    config = tmp_path / "livecell_config.yaml"
    config.write_text(said)
    settings = source.rules.judged(read_settings(config))  # type: ignore[union-attr]
    told = source.describe(path, weights, settings)
    assert told.architecture == network.architecture
    assert told.normalisation == network.normalisation
    assert not any("LIVECell" in line or "minus" in line for line in told.assumptions)
    # Another configuration decides otherwise.
    config.write_text("MODEL: {PIXEL_MEAN: [100, 100, 100]}")
    other = source.describe(path, weights, read_settings(config))
    assert other.normalisation.mean == (100, 100, 100)
    assert other.architecture.fcos.post_nms_topk_test == 100


def test_a_resnet_may_be_the_trunk(tmp_path: Path) -> None:
    from napari_sartorius.nn.build import build_network
    from napari_sartorius.nn.stock import stock_trunk

    tree = stock_centermask(VoVNetConfig(size="39"), 3)
    tree = tree.model_copy(update={"trunk": stock_trunk("resnet50")})
    with torch.device("meta"):
        wanted = build_network(tree).state_dict()
    shapes = centermask_shapes("39", 3, 256, 4)
    shapes = {n: s for n, s in shapes.items() if "bottom_up" not in n}
    shapes |= {
        f"backbone.fpn_lateral{level}.weight": (256, channels, 1, 1)
        for level, channels in ((3, 512), (4, 1024), (5, 2048))
    }
    for name, value in wanted.items():
        if name.startswith("trunk.") and not name.endswith("num_batches_tracked"):
            shapes[_in_detectron2(name)] = tuple(value.shape)
    source = CENTERMASK
    network = source.describe(tmp_path / "r50.pth", _empty(shapes), Settings())
    assert network.architecture == tree
    assert isinstance(network.architecture.trunk, TrunkConfig)
    assert any("1x1" in line for line in network.assumptions)
    ours = {n for n in wanted if not n.endswith("num_batches_tracked")}
    assert {source.renamed(name) for name in shapes} == ours


def _in_detectron2(name: str) -> str:
    """detectron2's name of a tensor of a ResNet."""
    parts = name.removeprefix("trunk.body.").split(".")
    if parts[0] in ("conv1", "bn1"):
        place, layer = "stem", ["conv1", *(["norm"] if parts[0] == "bn1" else [])]
    else:
        place = f"res{int(parts[0][-1]) + 1}.{parts[1]}"
        if parts[2] == "downsample":
            layer = ["shortcut", *(["norm"] if parts[3] == "1" else [])]
        else:
            layer = [f"conv{parts[2][-1]}", *(["norm"] if parts[2].startswith("bn") else [])]
    return ".".join(["backbone.bottom_up", place, *layer, parts[-1]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"MODEL": {"ROI_MASK_HEAD": {"ASSIGN_CRITERION": "area"}}}, "only networks with ratio"),
        ({"MODEL": {"FCOS": {"THRESH_WITH_CTR": True}}}, "THRESH_WITH_CTR is True"),
        ({"MODEL": {"FCOS": {"NUM_CLASSES": 3}}}, "speaks of 3 classes"),
        ({"MODEL": {"FCOS": {"SIZES_OF_INTEREST": [8, 16]}}}, "4 numbers"),
        ({"MODEL": {"FCOS": {"NMS_TH": 7}}}, "nms_iou"),
        ({"MODEL": {"ROI_MASK_HEAD": {"POOLER_RESOLUTION": 7}}}, "expected 14"),
        ({"MODEL": {"PROPOSAL_GENERATOR": {"NAME": "RPN"}}}, "only networks with FCOS"),
        ({"MODEL": {"FCOS": {"SOMETHING": 1}}}, "MODEL.FCOS.SOMETHING"),
    ],
)
def test_a_configuration_that_does_not_fit_is_one_sentence(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    checkpoint, config = write_tiny(tmp_path)
    content = yaml.safe_load(YAML)
    for section, entries in change["MODEL"].items():
        content["MODEL"].setdefault(section, {}).update(entries)
    config.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=words):
        import_checkpoint(checkpoint, config=config, folder=tmp_path / "models")
    assert not (tmp_path / "models" / "model_final").exists()


@pytest.mark.parametrize(
    ("rename", "words"),
    [
        (("stage3.OSA3_1.", "stage3.OSA3_9."), "lacks|no tensor|VoVNet"),
        (("layers.0.OSA2_1_0/conv", "layers.0.OSA2_1_0/dw_conv3x3"), "depthwise"),
        (("layers.1.OSA5_1_1/conv", "layers.1.OSA5_1_1/conv_offset"), "deformable"),
        (("maskiou_fc2", "maskiou_fc3"), "lacks mask_iou_head.hidden.2"),
        (("fcos_head.ctrness", "fcos_head.ctr"), "lacks fcos.centerness"),
    ],
)
def test_a_checkpoint_that_was_changed_is_one_sentence(
    tmp_path: Path, rename: tuple[str, str], words: str
) -> None:
    checkpoint, config = write_tiny(tmp_path)
    weights = torch.load(checkpoint)["model"]
    torch.save({"model": {n.replace(*rename): v for n, v in weights.items()}}, checkpoint)
    with pytest.raises(UserError, match=words):
        import_checkpoint(checkpoint, config=config, folder=tmp_path / "models")
