"""Imported checkpoints find what detectron2 found with them, from image file to mask."""

from __future__ import annotations

import json
import pickle
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
from napari_sartorius.nn.stock import stock_cascade_mask_rcnn, stock_mask_rcnn
from napari_sartorius.zoo.checkpoints import import_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.nn.config import MaskRCNNConfig
    from napari_sartorius.zoo import ModelBundle

# Case, how it is written, most detections of an image, and the tree that must be recognised.
CASES: dict[str, tuple[str, int, MaskRCNNConfig]] = {
    "mask_rcnn_r50_fpn": (".pkl", 100, stock_mask_rcnn(50, 3)),
    "mask_rcnn_r101_fpn": (".pth", 1000, stock_mask_rcnn(101, 3)),
    "cascade_mask_rcnn_r50_fpn": (".pth", 100, stock_cascade_mask_rcnn(3)),
}


def _imported(golden: Path, case: str, folder: Path) -> ModelBundle:
    """The case's checkpoint, written as detectron2 writes them and imported."""
    weights = golden_weights(golden, case)
    suffix = CASES[case][0]
    path = folder / f"{case}{suffix}"
    if suffix == ".pth":
        torch.save({"model": weights, "iteration": 1}, path)
    else:
        arrays = {name: value.numpy() for name, value in weights.items()}
        path.write_bytes(pickle.dumps({"model": arrays, "__author__": "golden"}, 2))
    imported = import_checkpoint(path, folder=folder, categories=["shsy5y", "astro", "cort"])
    assert len(imported.report.tensors) >= len(weights)
    assert len(imported.report.of("used")) + len(imported.report.of("ignored")) == len(weights)
    path.unlink()
    return imported.bundle


@pytest.mark.slow
@pytest.mark.parametrize("case", list(CASES))
def test_an_imported_checkpoint_finds_what_the_original_found(
    shared_golden: Path, tmp_path: Path, case: str
) -> None:
    golden = shared_golden / "networks"
    _, most, tree = CASES[case]
    bundle = _imported(golden, case, tmp_path)
    assert bundle.card.architecture == tree

    image = np.load(golden / "inputs" / "crop.npy")
    truth = dict(np.load(golden / case / "outputs_crop.npz"))
    config = SegmentConfig(
        preset="fast",
        device="cpu",
        tile="off",
        min_score=0.05,
        mask_nms=1,
        min_size=0,
        max_objects_per_tile=most,
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
    boxes, labels = found.boxes.numpy(), found.labels.numpy()
    true_boxes, true_labels = truth["detections_netscale/boxes"], truth["detections/classes"]
    ours, theirs = matched_boxes(boxes, labels, true_boxes, true_labels)
    np.testing.assert_allclose(boxes[ours], true_boxes[theirs], atol=0.02)
    np.testing.assert_allclose(
        found.scores.numpy()[ours], truth["detections/scores"][theirs], atol=1e-3
    )

    scale = np.array([image.shape[1] / size[1], image.shape[0] / size[0]] * 2, np.float32)
    masks = paste(found.mask_probs.numpy(), boxes * scale, image.shape)
    wanted = CropMasks.from_rle(json.loads(str(truth["detections/masks_rle_json"])), image.shape)
    large = np.flatnonzero(wanted.area() > 100)
    compared = 0
    for one, other in zip(ours.tolist(), theirs.tolist(), strict=True):
        if other not in large:
            continue
        compared += 1
        assert masks[[one]].iou(wanted[[other]])[0, 0] >= 0.995
    assert compared >= 0.99 * len(large) > 10

    # What the user gets is part of that: no pixel twice, nothing that the original did not find.
    kept = result.instances
    assert len(kept) > 10
    assert len(kept.masks.overlaps()[0]) == 0
    nearest = np.abs(kept.scores[:, None] - truth["detections/scores"][None]).argmin(axis=1)
    np.testing.assert_allclose(kept.scores, truth["detections/scores"][nearest], atol=1e-3)
