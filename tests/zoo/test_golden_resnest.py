"""LIVECell's anchor-based network: every output of the original, from checkpoint to masks.

Its 63 blocks amplify the last bit of a float in these synthetic weights: one bit more in every
input moves values of the fourth stage, whose mean square is 1, by 0.03 on average and up to 3. So
the network runs here in the order of operations, memory format and number of threads with which
the reference was made, and on processors whose convolutions add up as those of the reference did
every output is the original's. On others the trunk is held to what one bit in the input does to
it, and the stages behind it are not compared here (the cascade on a ResNet-50 compares the same
code on every processor). What speed does to the order is tried in `tests/nn/test_deformable.py` in
double precision, where nothing is amplified that would show.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from golden_comparison import matched_boxes
from golden_weights import golden_weights
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.paste import paste
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.prepare import prepare
from napari_sartorius.inference.tiling import Rectangle
from napari_sartorius.nn.boxes import apply_deltas
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import CascadeMaskRCNNConfig, ResNeStConfig
from napari_sartorius.nn.deformable import DeformableConv2d
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.nn.pooling import assign_levels
from napari_sartorius.zoo import InputSize
from napari_sartorius.zoo.checkpoints import import_checkpoint
from napari_sartorius.zoo.checkpoints.detectron2 import DETECTRON2
from napari_sartorius.zoo.checkpoints.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.zoo import ModelBundle

CASE = "cascade_resnest200"
FEATURES, LOGITS, BOXES, SCORES = 1e-4, 2e-3, 0.02, 1e-3
# How much farther from the reference than from its own other rounding the trunk may be.
CHAOS = 3.0


@pytest.fixture(scope="module")
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bundle(shared_golden: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    folder = tmp_path_factory.mktemp("models")
    path = folder / "LIVECell_anchor_based_model.pth"
    weights = golden_weights(shared_golden / "networks", CASE)
    torch.save({"model": weights, "iteration": 1}, path)
    imported = import_checkpoint(path, folder=folder)
    path.unlink()
    fates = [note.fate for note in imported.report.tensors]
    assert fates.count("used") + fates.count("ignored") == len(fates) == len(weights)
    assert any("LIVECell" in sentence for sentence in imported.report.assumptions)
    return imported.bundle


@pytest.fixture(scope="module")
def network(bundle: ModelBundle) -> Any:
    loaded = bundle.load_network()
    for module in loaded.modules():
        if isinstance(module, DeformableConv2d):
            module.by_gather = False
    for value in loaded.parameters():
        # A 1x1 kernel keeps the strides of channels last unless it is copied.
        value.data = value.data.clone(memory_format=torch.contiguous_format)
    return loaded


@dataclass
class Run:
    """One image: what the original gave, what is fed, and the stages that the tests share."""

    truth: dict[str, Any]
    shape: tuple[int, int]
    size: tuple[int, int]
    batch: torch.Tensor
    maps: list[torch.Tensor]
    features: list[torch.Tensor]

    @property
    def rounds_as_the_original(self) -> bool:
        """Whether the last maps of the trunk are the reference's but for a few last bits."""
        return _mean_difference(self.maps[-1][0], self.truth, "bottom_up/res5") < FEATURES / 4


@pytest.fixture(scope="module", params=["crop", "full"])
def run(
    request: pytest.FixtureRequest,
    shared_golden: Path,
    bundle: ModelBundle,
    network: Any,
    two_threads: None,
) -> Run:
    golden = shared_golden / "networks"
    truth = dict(np.load(golden / CASE / f"outputs_{request.param}.npz"))
    image = np.load(golden / "inputs" / f"{request.param}.npy")
    config = SegmentConfig(preset="fast", device="cpu", tile="off")
    prepared = prepare(image, bundle.card, config)
    height, width = prepared.rescaler.size
    whole = Rectangle(0, 0, height, width)
    grey = prepared.rescaler.window(lambda r: image[r.y0 : r.y1, r.x0 : r.x1, None], whole)
    assert zlib.crc32(grey.astype(np.uint8).tobytes()) == int(truth["input/resized_crc32"][0])
    # Dividing, as the original does, and multiplying by the inverse differ in the last bit.
    exact = (grey[..., 0].astype(np.float32) - np.float32(128)) / np.float32(11.578)
    seen = prepared.window(whole).transpose(2, 0, 1)
    np.testing.assert_allclose(seen, np.broadcast_to(exact, seen.shape), rtol=3e-7, atol=1e-7)
    batch = torch.zeros(tuple(int(n) for n in truth["input/padded_shape"]))
    batch[0, :, :height, :width] = torch.from_numpy(exact)
    with torch.inference_mode():
        maps = network.trunk(batch)
        features = network.pyramid(maps)
    return Run(truth, image.shape, (height, width), batch, maps, features)


@pytest.fixture
def faithful(run: Run) -> Run:
    """The image, where this processor lets the later stages be compared at all."""
    if not run.rounds_as_the_original:
        pytest.skip("this processor adds up in another order, which this network amplifies")
    return run


def _mean_difference(given: torch.Tensor, truth: dict[str, Any], name: str) -> float:
    """Mean difference from the corner and the centre of the original's (C, H, W) map."""
    corner, centre = truth[f"{name}/corner"], truth[f"{name}/center"]
    y, x = (int(n) for n in truth[f"{name}/center_yx"])
    channels, rows, columns = centre.shape
    pieces = (
        (given[tuple(slice(n) for n in corner.shape)], corner),
        (given[:channels, y : y + rows, x : x + columns], centre),
    )
    return float(np.mean([np.abs(ours.numpy() - wanted).mean() for ours, wanted in pieces]))


def _close(given: Any, wanted: Any, tolerance: float) -> None:
    np.testing.assert_allclose(np.asarray(given), wanted, rtol=0, atol=tolerance)


def _same_map(given: torch.Tensor, truth: dict[str, Any], name: str, tolerance: float) -> None:
    """Compare a (C, H, W) map with the summary of the original's."""
    assert tuple(given.shape) == tuple(truth[f"{name}/shape"])
    corner, centre = truth[f"{name}/corner"], truth[f"{name}/center"]
    _close(given[tuple(slice(n) for n in corner.shape)], corner, tolerance)
    y, x = (int(n) for n in truth[f"{name}/center_yx"])
    channels, rows, columns = centre.shape
    _close(given[:channels, y : y + rows, x : x + columns], centre, tolerance)
    values = given.double()
    moments = torch.stack([values.mean(), values.std()])
    _close(moments, truth[f"{name}/mean_std"], max(1e-4, tolerance / 10))


@pytest.mark.slow
def test_the_input_is_what_the_original_saw(run: Run) -> None:
    assert run.size == tuple(run.truth["input/resized_hw"])
    _same_map(run.batch[0], run.truth, "input/normalised", FEATURES)


@pytest.mark.slow
def test_trunk_and_pyramid_are_those_of_the_original(run: Run, network: Any) -> None:
    _same_map(run.maps[0][0], run.truth, "bottom_up/res2", FEATURES)
    names = [*(f"bottom_up/res{n}" for n in (3, 4, 5)), *(f"fpn/p{n}" for n in (2, 3, 4, 5, 6))]
    given = [*run.maps[1:], *run.features]
    if run.rounds_as_the_original:
        for name, level in zip(names, given, strict=True):
            _same_map(level[0], run.truth, name, FEATURES)
        return
    one_bit = torch.nextafter(run.batch, torch.tensor(torch.inf)) * (run.batch != 0)
    with torch.inference_mode():
        maps = network.trunk(one_bit)
        moved = [*maps[1:], *network.pyramid(maps)]
    for name, level, other in zip(names, given, moved, strict=True):
        noise = (level - other).abs().mean().item()
        assert _mean_difference(level[0], run.truth, name) < CHAOS * noise + FEATURES, name
        assert noise < 0.1, name  # else this comparison says nothing


@pytest.mark.slow
def test_proposals_are_those_of_the_original(faithful: Run, network: Any) -> None:
    run = faithful
    truth = run.truth
    with torch.inference_mode():
        logits, deltas = network.proposals(run.features)
        anchors = network.proposals.anchors(run.features)
        (proposals,) = network.propose(run.features, [run.size])
    assert len(logits) == 6
    for entry, (logit, delta, anchor) in enumerate(zip(logits, deltas, anchors, strict=True)):
        name = f"rpn/{entry}"
        count, rows, columns = (int(n) for n in truth[f"{name}/objectness/shape"])
        grid = logit[0].reshape(rows, columns, count).permute(2, 0, 1)
        _same_map(grid, truth, f"{name}/objectness", LOGITS)
        grid = delta[0].reshape(rows, columns, count * 4).permute(2, 0, 1)
        _same_map(grid, truth, f"{name}/deltas", LOGITS)
        _close(anchor[:20], truth[f"{name}/anchors_first20"], 1e-4)
        total, *last = truth[f"{name}/anchors_count_last"]
        assert len(anchor) == total
        _close(anchor[-1], last, 1e-3)
        top = logit[0].topk(50)
        _close(top.values, truth[f"{name}/top50_logits"], LOGITS)
        chosen = torch.from_numpy(truth[f"{name}/top50_index_hwa"]).long()
        _close(logit[0][chosen], truth[f"{name}/top50_logits"], LOGITS)
        boxes = apply_deltas(anchor[chosen], delta[0][chosen], (1.0, 1.0, 1.0, 1.0))[:, 0]
        _close(boxes, truth[f"{name}/top50_boxes_unclipped"], BOXES)
    assert len(proposals.boxes) == int(truth["proposals/count"][0])
    _close(proposals.boxes[:200], truth["proposals/boxes_top200"], BOXES)
    _close(proposals.logits[:200], truth["proposals/logits_top200"], LOGITS)


@pytest.mark.slow
def test_heads_on_fixed_boxes_are_those_of_the_original(faithful: Run, network: Any) -> None:
    run = faithful
    truth = run.truth
    boxes = torch.from_numpy(truth["fixed/boxes"])
    np.testing.assert_array_equal(assign_levels(boxes, 224, 4).numpy(), truth["fixed/levels"])
    with torch.inference_mode():
        pooled = network._pool(run.features, [boxes], network.config.box_head.pooler)
        _close(pooled[:, :4], truth["fixed/box_pooled_first4ch"], FEATURES)
        for stage, head in enumerate((network.box_head, *network.later_heads)):
            given = torch.from_numpy(truth[f"fixed/stage{stage}/boxes_in"])
            logits, deltas = head(network._pool(run.features, [given], head.config.pooler))
            _close(logits, truth[f"fixed/stage{stage}/class_logits"], LOGITS)
            _close(deltas, truth[f"fixed/stage{stage}/box_deltas"], LOGITS)
        (scored,) = network.score_boxes(run.features, [boxes], [run.size])
        pooled = network._pool(run.features, [boxes], network.config.mask_head.pooler)
        masks = network.mask_head(pooled)
    _close(scored.boxes[:, 0], truth["fixed/cascade_boxes"], BOXES)
    _close(scored.probabilities, truth["fixed/cascade_probs"], SCORES)
    _close(pooled[:, :2], truth["fixed/mask_pooled_first2ch"], FEATURES)
    _close(masks, truth["fixed/mask_logits"], LOGITS)


@pytest.mark.slow
def test_detections_and_masks_are_those_of_the_original(
    faithful: Run, network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = faithful
    truth = run.truth
    monkeypatch.setattr(network, "features", lambda batch: run.features)
    (found,) = network.detect(run.batch, DetectLimits(0.05, 0.5, 3000), [run.size])
    # Near ties of scores swap places with the order in which features are summed.
    ours, theirs = matched_boxes(
        found.boxes.numpy(),
        found.labels.numpy(),
        truth["detections_netscale/boxes"],
        truth["detections/classes"],
        share=1.0,
    )
    order = ours[np.argsort(theirs)]
    boxes, probabilities = found.boxes.numpy()[order], found.mask_probs.numpy()[order]
    _close(boxes, truth["detections_netscale/boxes"], BOXES)
    _close(found.scores[order], truth["detections/scores"], SCORES)
    _close(probabilities[:20], truth["detections_netscale/mask_prob_first20"], LOGITS)
    scale = np.array([run.shape[1] / run.size[1], run.shape[0] / run.size[0]] * 2, np.float32)
    _close(boxes * scale, truth["detections/boxes"], BOXES)
    masks = paste(probabilities, boxes * scale, run.shape)
    wanted = CropMasks.from_rle(json.loads(str(truth["detections/masks_rle_json"])), run.shape)
    _close(wanted.area(), truth["detections/mask_area"][: len(wanted)], 0)
    overlaps = _overlaps(masks, wanted)
    assert (overlaps[wanted.area() > 100] >= 0.995).all()
    assert np.mean(overlaps[wanted.area() > 0] == 1) > 0.99


def _overlaps(masks: CropMasks, wanted: CropMasks) -> NDArray[np.float64]:
    """IoU of each mask with its partner."""
    return np.array([masks[[i]].iou(wanted[[i]])[0, 0] for i in range(len(wanted))])


def test_train4evers_checkpoint_is_recognised(shared_golden: Path, tmp_path: Path) -> None:
    """Three classes, frozen normalisation, larger images: every key, by name and shape."""
    folder = shared_golden / "networks" / f"{CASE}_3class"
    keys = json.loads((folder / "keys.json").read_text())["keys"]
    published = json.loads((folder / "config.json").read_text())
    weights = {k["key"]: np.broadcast_to(np.float32(0), k["shape"]) for k in keys}
    without = {k["key"]: weights[k["key"]] for k in keys if not k.get("ignore")}
    source = DETECTRON2
    for given in (weights, without):
        if "pixel_mean" in given:
            given = (
                given
                | {
                    "pixel_mean": np.full((3, 1, 1), 128.0),
                    "pixel_std": np.full((3, 1, 1), 11.578),
                }
                | _anchors(published)
            )
        network = source.describe(tmp_path / "t4e.pth", given, Settings())
        tree = network.architecture
        assert isinstance(tree, CascadeMaskRCNNConfig)
        assert isinstance(tree.trunk, ResNeStConfig)
        assert (tree.trunk.depth, tree.trunk.deformable, tree.trunk.norm) == (200, True, "frozen")
        assert tree.num_classes == published["num_classes"] == 3
        assert [list(s) for s in tree.proposals.anchor_sizes] == published["anchors"]["sizes"]
        assert tree.proposals.levels == (0, 0, 1, 2, 3, 4)
        assert tree.proposals.post_nms_topk_test == published["rpn"]["post_nms_topk"]
        assert (tree.box_head.convolutions, tree.box_head.layers) == (4, 1)
        assert tree.box_head.norm == tree.mask_head.norm == tree.pyramid.norm == "frozen"
        assert tree.mask_head.layers == 8
        assert network.input_size == InputSize(
            short_edge=published["preprocess"]["resize"]["min_size"],
            long_edge=published["preprocess"]["resize"]["max_size"],
        )
        assert list(network.normalisation.std) == published["preprocess"]["pixel_std"]
        with torch.device("meta"):
            wanted = build_network(tree).state_dict()
        named = {source.renamed(n): v for n, v in given.items() if not source.why_not_needed(n)}
        assert {n: v.shape for n, v in named.items()} == {
            n: tuple(v.shape) for n, v in wanted.items() if not n.endswith("num_batches_tracked")
        }


def _anchors(published: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Anchor boxes of each level as older versions store them."""
    stored = {}
    ratios = np.sqrt(published["anchors"]["aspect_ratios_h_over_w"][0])
    for level, (size,) in enumerate(published["anchors"]["sizes"]):
        half = np.stack([size / ratios, size * ratios], axis=1) / 2
        name = f"proposal_generator.anchor_generator.cell_anchors.{level}"
        stored[name] = np.concatenate([-half, half], axis=1)
    return stored
