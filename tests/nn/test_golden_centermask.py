"""CenterMask against the outputs of the original networks, stage by stage."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from golden_comparison import matched_boxes
from golden_weights import golden_weights
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import CenterMaskConfig, VoVNetConfig
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.nn.fcos_selection import FCOSBoxes
from napari_sartorius.nn.pooling import assign_levels_by_area
from napari_sartorius.nn.stock_centermask import livecell_centermask, stock_centermask_lite
from napari_sartorius.zoo.checkpoints.centermask.names import renamed

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.nn.centermask import CenterMask

_EVERYTHING = DetectLimits(score=0.0, nms=1.0, max_detections=10_000)


def _lite(size: Any) -> CenterMaskConfig:
    """The published Lite tree with the 300 boxes that the reference outputs keep."""
    tree = stock_centermask_lite(VoVNetConfig(size=size), 3)
    fcos = tree.fcos.model_copy(update={"post_nms_topk_test": 300})
    return tree.model_copy(update={"fcos": fcos})


# Case, its tree, and the tolerance of logits, as the reference data recommend it.
CASES: dict[str, tuple[CenterMaskConfig, float]] = {
    "centermask_lite_v19_slim": (_lite("19-slim"), 5e-4),
    "centermask2_lite_v39": (_lite("39"), 5e-4),
    "centermask2_v99": (livecell_centermask(), 2e-3),
}


class _Case:
    """One network with its weights, its input and what the original made of it."""

    def __init__(self, golden: Path, name: str) -> None:
        tree, self.tolerance = CASES[name]
        weights = golden_weights(golden, name, with_ignored=False)
        with torch.device("meta"):
            network = build_network(tree).eval()
        state = {renamed(key): value for key, value in weights.items()}
        wanted = network.state_dict()
        counters = {n for n in wanted if n.endswith("num_batches_tracked")}
        assert set(state) == set(wanted) - counters
        state |= {n: torch.zeros((), dtype=torch.int64) for n in counters}
        network.load_state_dict(state, assign=True)
        self.network: CenterMask = network  # type: ignore[assignment]
        self.truth = dict(np.load(golden / name / "outputs_crop.npz"))
        self.config = json.loads((golden / name / "config.json").read_text())
        grey = np.load(golden / "inputs" / "crop.npy")
        height, width = (int(n) for n in self.truth["input/resized_hw"])
        resized = np.asarray(
            Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR)
        )
        assert zlib.crc32(resized.tobytes()) == int(self.truth["input/resized_crc32"][0])
        said = self.config["preprocess"]
        mean, std = (
            torch.tensor(said[f"pixel_{kind}"], dtype=torch.float32)[:, None, None]
            for kind in ("mean", "std")
        )
        values = torch.from_numpy(resized.astype(np.float32))[None]
        self.size = (height, width)
        self.batch = torch.zeros(1, 3, -(-height // 32) * 32, -(-width // 32) * 32)
        self.batch[0, :, :height, :width] = (values - mean) / std
        with torch.inference_mode():
            self.maps = self.network.trunk(self.batch)
            levels = self.network.pyramid(self.maps[1:])
            self.features = levels + self.network.top(levels[-1])

    def matched(self, name: str, boxes: torch.Tensor, labels: torch.Tensor) -> tuple[Any, Any]:
        """Rows (ours, theirs) of the same boxes, which must be nearly all, and near each other."""
        true_boxes = self.truth[name.format("boxes")]
        ours, theirs = matched_boxes(
            boxes.numpy(), labels.numpy(), true_boxes, self.truth[name.format("classes")]
        )
        self.close(name.format("boxes"), boxes[ours], 0.02, theirs)
        return ours, theirs

    def close(
        self, name: str, given: torch.Tensor, tolerance: float, rows: Any = slice(None)
    ) -> None:
        """A whole array, or of a map (C, H, W) its shape, moments and two windows."""
        if name in self.truth:
            wanted = self.truth[name][rows]
            np.testing.assert_allclose(given.numpy(), wanted, rtol=0, atol=tolerance)
            return
        assert tuple(given.shape) == tuple(self.truth[f"{name}/shape"])
        values = given.double()
        moments = torch.stack([values.mean(), values.std()])
        self.close(f"{name}/mean_std", moments, 1e-4)
        corner = self.truth[f"{name}/corner"].shape
        self.close(f"{name}/corner", given[: corner[0], : corner[1], : corner[2]], tolerance)
        y, x = (int(n) for n in self.truth[f"{name}/center_yx"])
        self.close(f"{name}/center", given[:8, y : y + 8, x : x + 8], tolerance)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=() if name.endswith("slim") else pytest.mark.slow)
        for name in CASES
    ],
)
def case(request: pytest.FixtureRequest, shared_golden: Path) -> _Case:
    return _Case(shared_golden / "networks", request.param)


def test_maps_are_those_of_the_original(case: _Case) -> None:
    case.close("input/normalised", case.batch[0], 1e-4)
    for stage, level in zip((3, 4, 5), case.maps[1:], strict=True):
        case.close(f"bottom_up/stage{stage}", level[0], 1e-4)
    for number, level in zip((3, 4, 5, 6, 7), case.features, strict=True):
        case.close(f"fpn/p{number}", level[0], 1e-4)


@torch.inference_mode()
def test_what_places_say_is_that_of_the_original(case: _Case) -> None:
    maps, places = case.network.fcos(case.features), case.network._places(case.features)
    for level, (feature, stride) in enumerate(
        zip(case.features, case.network.strides, strict=True)
    ):
        shape, name = feature.shape[2:], f"fcos/{level}"
        classes, distances = maps.classes[level][0], maps.distances[level][0] / stride
        centerness = maps.centerness[level][0]
        case.close(f"{name}/cls_logits", classes.T.unflatten(1, shape), case.tolerance)
        case.close(f"{name}/reg_relu", distances.T.unflatten(1, shape), case.tolerance)
        case.close(f"{name}/ctrness", centerness[None].unflatten(1, shape), case.tolerance)
        case.close(f"{name}/locations_first20", places[level][:20], 0)
        probability = classes.sigmoid()
        assert int((probability > 0.05).sum()) == int(case.truth[f"{name}/candidates"][0])
        score = (probability * centerness.sigmoid()[:, None]).sqrt().flatten()
        wanted = case.truth[f"{name}/top50_scores"]
        case.close(f"{name}/top50_scores", score.topk(len(wanted)).values, 1e-3)
        index = torch.from_numpy(case.truth[f"{name}/top50_index_hwc"]).long()
        case.close(f"{name}/top50_scores", score[index], 1e-3)


def test_boxes_are_those_of_the_original(case: _Case) -> None:
    with torch.inference_mode():
        (found,) = case.network._find(case.features, [case.size], _EVERYTHING)
    assert len(found.scores) == int(case.truth["proposals/count"][0])
    best = slice(len(case.truth["proposals/scores_top200"]))
    ours, theirs = case.matched("proposals/{}_top200", found.boxes[best], found.labels[best])
    case.close("proposals/scores_top200", found.scores[best][ours], 1e-3, theirs)
    # 300 boxes are the limit of the Lite networks here; nothing that was dropped was found before.
    assert found.capped == ("lite" in case.config["case"])


def test_heads_on_fixed_boxes_are_those_of_the_original(case: _Case) -> None:
    boxes, network = torch.from_numpy(case.truth["fixed/boxes"]), case.network
    area = torch.full((len(boxes),), float(case.size[0] * case.size[1]))
    levels = assign_levels_by_area(boxes, area, 3)
    case.close("fixed/levels", levels, 0)
    assert network.mask_iou_head is not None
    with torch.inference_mode():
        pooled = network._pool(case.features, [boxes], [case.size])
        case.close("fixed/mask_pooled_first2ch", pooled[:, :2], 1e-4)
        logits = network.mask_head(pooled)
        case.close("fixed/mask_logits", logits, case.tolerance)
        labels = torch.from_numpy(case.truth["fixed/classes"]).long()
        chosen = logits.sigmoid()[torch.arange(len(labels)), labels]
        case.close("fixed/maskiou", network.mask_iou_head(pooled, chosen), case.tolerance)
        (masks,) = network.predict_masks(case.features, [boxes], [case.size])
    torch.testing.assert_close(masks, logits.sigmoid())


def test_objects_are_those_of_the_original(case: _Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case.network, "features", lambda batch: case.features)
    found, truth = case.network.detect(case.batch, _EVERYTHING, [case.size])[0], case.truth
    scale = np.array(truth["input/original_hw"] / truth["input/resized_hw"], np.float32)
    boxes = found.boxes * torch.from_numpy(np.tile(scale[::-1], 2))
    ours, theirs = case.matched("detections/{}", boxes, found.labels)
    case.close("detections/scores", found.scores[ours], 1e-3, theirs)
    case.close("detections/mask_scores", found.columns["mask_score"][ours], 1e-3, theirs)


def test_masks_are_those_of_the_original(case: _Case) -> None:
    """Of the best 20 boxes, not limited to the image yet."""
    best, truth = slice(20), case.truth
    boxes, labels, scores = (
        torch.from_numpy(truth[f"proposals/{name}_top200"][best])
        for name in ("boxes", "classes", "scores")
    )
    case.close("detections_netscale/boxes", boxes, 0, best)
    given = FCOSBoxes(boxes, scores, labels.long(), False)
    with torch.inference_mode():
        (masks,), _ = case.network._draw(case.features, [given], [case.size])
    case.close("detections_netscale/mask_prob_first20", masks, case.tolerance)


def test_trees_agree_with_the_published_numbers(case: _Case) -> None:
    tree, said = case.network.config, case.config
    assert tree.fcos.pre_nms_topk_test == said["fcos"]["pre_nms_topk_per_level"]
    assert tree.fcos.post_nms_topk_test == said["fcos"]["post_nms_topk"]
    assert tree.fcos.candidate_score == said["fcos"]["score_threshold"]
    assert tree.fcos.nms_iou == said["fcos"]["nms_iou"]
    assert tree.fcos.class_layers == said["fcos"]["num_cls_convs"]
    assert list(case.network.strides) == said["fcos"]["strides"]
    assert tree.mask_head.pooler.resolution == said["mask_head"]["pooler"]["resolution"]
    assert tree.mask_head.layers == said["mask_head"]["num_conv"]
    assert tree.num_classes == said["num_classes"]
