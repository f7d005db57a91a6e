"""A reference checkpoint finds the same objects by detectron2 itself as by our own networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from detectron2_models import zoo_file
from golden_weights import golden_weights
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.zoo.checkpoints import import_checkpoint
from napari_sartorius.zoo.detectron2_engine import import_with_detectron2

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.zoo import ModelBundle

pytest.importorskip("detectron2", reason="detectron2 is not installed")

CASES = {
    "mask_rcnn_r50_fpn": "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml",
    "cascade_mask_rcnn_r50_fpn": "Misc/cascade_mask_rcnn_R_50_FPN_3x.yaml",
}
CONFIG = SegmentConfig(
    preset="fast",
    device="cpu",
    tile="off",
    min_score=0.05,
    mask_nms=1,
    min_size=0,
    max_objects_per_tile=100,
)


class _Listener:
    """A network whose answers are kept for comparison."""

    def __init__(self, network: Any) -> None:
        self.network, self.size_divisibility = network, network.size_divisibility
        self.heard: list[Any] = []

    def detect(self, *arguments: Any) -> list[Any]:
        self.heard += (answer := self.network.detect(*arguments))
        return answer


def _segmented(bundle: ModelBundle, image: Any) -> tuple[Any, Instances]:
    """What the network said, and what the user gets."""
    listener = _Listener(bundle.load_network(for_inference=True))
    result = Segmenter(bundle, CONFIG, detector=listener).segment(image)  # type: ignore[arg-type]
    (heard,) = listener.heard
    return heard, result.instances


@pytest.mark.slow
@pytest.mark.parametrize("case", list(CASES))
def test_engine_reference_and_our_own_network_agree(
    shared_golden: Path, tmp_path: Path, case: str
) -> None:
    golden = shared_golden / "networks"
    checkpoint = tmp_path / f"{case}.pth"
    torch.save({"model": golden_weights(golden, case)}, checkpoint)
    config = tmp_path / "config.yaml"
    config.write_text(f"_BASE_: {zoo_file(CASES[case])}\nMODEL: {{ROI_HEADS: {{NUM_CLASSES: 3}}}}")
    engine = import_with_detectron2(checkpoint, config=config, folder=tmp_path, name="engine")
    own = import_checkpoint(checkpoint, folder=tmp_path, name="own")
    checkpoint.unlink()

    image = np.load(golden / "inputs" / "crop.npy")
    truth = dict(np.load(golden / case / "outputs_crop.npz"))
    said, found = _segmented(engine.bundle, image)
    # The very code of the reference: also the order is the same.
    np.testing.assert_array_equal(said.labels, truth["detections/classes"])
    np.testing.assert_allclose(said.boxes, truth["detections_netscale/boxes"], atol=0.02)
    np.testing.assert_allclose(said.scores, truth["detections/scores"], atol=1e-3)
    probabilities = truth["detections_netscale/mask_prob_first20"]
    np.testing.assert_allclose(said.mask_probs[:20], probabilities, atol=5e-3)

    _, ours = _segmented(own.bundle, image)
    assert len(found) == len(ours) > 10
    np.testing.assert_array_equal(found.categories, ours.categories)
    np.testing.assert_allclose(found.scores, ours.scores, atol=1e-3)
    large = np.flatnonzero(ours.masks.area() > 100)
    assert len(large) >= 5
    for i in large.tolist():
        assert found.masks[[i]].iou(ours.masks[[i]])[0, 0] >= 0.995
