"""Imported CenterMask checkpoints find what CenterMask2 found with them, from file to mask."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from golden_comparison import Listener, matched_boxes
from golden_weights import golden_weights
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.paste import paste
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.prepare import prepare
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.inference.tiling import Rectangle
from napari_sartorius.nn.config import CenterMaskConfig, VoVNetConfig
from napari_sartorius.nn.stock_centermask import livecell_centermask, stock_centermask_lite
from napari_sartorius.zoo.checkpoints import import_checkpoint

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from napari_sartorius.zoo.checkpoints import ImportedModel

_LITE = """
_BASE_: "Base-CenterMask-Lite-VoVNet.yaml"
MODEL:
  VOVNET: {{CONV_BODY: "{body}"}}
  FCOS: {{POST_NMS_TOPK_TEST: 300}}
"""


def _lite(size: Any) -> CenterMaskConfig:
    tree = stock_centermask_lite(VoVNetConfig(size=size), 3)
    fcos = tree.fcos.model_copy(update={"post_nms_topk_test": 300})
    return tree.model_copy(update={"fcos": fcos})


# Case, picture, configuration, and the tree that must be recognised. LIVECell's needs none.
CASES: dict[str, tuple[str, str | None, CenterMaskConfig]] = {
    "centermask_lite_v19_slim": ("full", _LITE.format(body="V-19-slim-eSE"), _lite("19-slim")),
    "centermask2_lite_v39": ("crop", _LITE.format(body="V-39-eSE"), _lite("39")),
    "centermask2_v99": ("crop", None, livecell_centermask()),
}


def _imported(golden: Path, case: str, folder: Path) -> ImportedModel:
    """The case's checkpoint, written as detectron2 writes them and imported."""
    weights = golden_weights(golden, case)
    said = CASES[case][1]
    if said is None:  # grey levels are to be assumed, not read
        weights = {name: value for name, value in weights.items() if "pixel_" not in name}
    path, config = folder / f"{case}.pth", folder / "config.yaml"
    config.write_text(said or "")
    torch.save({"model": weights, "iteration": 1}, path)
    imported = import_checkpoint(path, config=config if said else None, folder=folder)
    used, ignored = (imported.report.of(fate) for fate in ("used", "ignored"))
    assert len(used) + len(ignored) == len(weights)
    assert {note.name.split("_")[0] for note in ignored} <= {"pixel"}
    path.unlink()
    return imported


@pytest.mark.slow
@pytest.mark.parametrize("case", list(CASES))
def test_an_imported_centermask_finds_what_the_original_found(
    shared_golden: Path, tmp_path: Path, case: str
) -> None:
    golden = shared_golden / "networks"
    picture, said, tree = CASES[case]
    imported = _imported(golden, case, tmp_path)
    bundle = imported.bundle
    assert bundle.card.architecture == tree
    assert any("LIVECell" in line for line in imported.report.assumptions) == (said is None)

    image = np.load(golden / "inputs" / f"{picture}.npy")
    truth = dict(np.load(golden / case / f"outputs_{picture}.npz"))
    config = SegmentConfig(
        preset="fast",
        device="cpu",
        tile="off",
        min_score=0.0,
        box_nms=1,
        mask_nms=1,
        min_size=0,
        max_objects_per_tile=10_000,
    )
    prepared = prepare(image, bundle.card, config)
    size = prepared.rescaler.size
    assert size == tuple(truth["input/resized_hw"])
    grey = prepared.rescaler.window(
        lambda r: image[r.y0 : r.y1, r.x0 : r.x1, None], Rectangle(0, 0, *size)
    )
    assert zlib.crc32(grey.astype(np.uint8).tobytes()) == int(truth["input/resized_crc32"][0])
    seen = prepared.window(Rectangle(0, 0, *size)).transpose(2, 0, 1)
    np.testing.assert_allclose(seen[:, :8, :8], truth["input/normalised/corner"], atol=1e-4)

    listener = Listener(bundle.load_network(for_inference=True))
    result = Segmenter(bundle, config, detector=listener).segment(image)  # type: ignore[arg-type]
    (found,) = listener.heard
    scale = np.array([image.shape[1] / size[1], image.shape[0] / size[0]] * 2, np.float32)
    boxes, true_boxes = found.boxes.numpy() * scale, truth["detections/boxes"]
    ours, theirs = matched_boxes(
        boxes, found.labels.numpy(), true_boxes, truth["detections/classes"]
    )
    np.testing.assert_allclose(boxes[ours], true_boxes[theirs], atol=0.02)
    for name, given in (("scores", found.scores), ("mask_scores", found.columns["mask_score"])):
        np.testing.assert_allclose(
            given.numpy()[ours], truth[f"detections/{name}"][theirs], atol=1e-3
        )

    masks = paste(found.mask_probs.numpy(), boxes, image.shape)
    wanted = CropMasks.from_rle(json.loads(str(truth["detections/masks_rle_json"])), image.shape)
    large = set(np.flatnonzero(wanted.area() > 100).tolist())
    pairs = [(a, b) for a, b in zip(ours.tolist(), theirs.tolist(), strict=True) if b in large]
    assert len(pairs) >= 0.99 * len(large) > 5
    for one, other in pairs:
        # A single pixel of probability one half may flip; in the smallest masks that is more.
        overlap = masks[[one]].iou(wanted[[other]])[0, 0]
        assert overlap >= min(0.995, 1 - 1 / wanted[[other]].area()[0])
    areas = np.abs(masks.area()[ours] - truth["detections/mask_area"][theirs])
    assert np.median(areas) == 0

    # What the user gets is part of that: no pixel twice, nothing that the original did not find.
    kept = result.instances
    assert len(kept) > 10
    assert len(kept.masks.overlaps()[0]) == 0
    true_scores = truth["detections/scores"], truth["detections/mask_scores"]
    for given, true in zip((kept.scores, kept.columns["mask_score"]), true_scores, strict=True):
        nearest = np.abs(given[:, None] - true[None]).argmin(axis=1)
        np.testing.assert_allclose(given, true[nearest], atol=1e-3)
