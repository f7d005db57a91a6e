"""A CenterMask checkpoint with CenterMask2's names, made from numbers that never change.

Run as a program it writes ``tiny_centermask.json`` beside it: what the imported network finds in a
generated picture. The stored file was made by the code that reproduced the reference outputs of the
original networks, and stands in for them where they are missing.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from golden_comparison import Listener
from napari_sartorius.core.paste import paste
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.samples.phase_contrast import phase_contrast_scene
from napari_sartorius.zoo.checkpoints import import_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_sartorius.inference.segmenter import SegmentResult
    from napari_sartorius.zoo import ModelBundle

EXPECTED = Path(__file__).parent / "tiny_centermask.json"
Shape = tuple[int, ...]

_WIDE, _SLIM = (
    ((128, 160, 192, 224), (256, 512, 768, 1024)),
    ((64, 80, 96, 112), (112, 256, 384, 512)),
)
_BODIES: dict[str, Any] = {
    "19-slim": (_SLIM, (1, 1, 1, 1), 3),
    "19": (_WIDE, (1, 1, 1, 1), 3),
    "39": (_WIDE, (1, 1, 2, 2), 5),
    "57": (_WIDE, (1, 1, 4, 3), 5),
    "99": (_WIDE, (1, 3, 9, 3), 5),
}

TINY: dict[str, Any] = {"size": "19-slim", "classes": 2, "width": 64, "layers": 1, "hidden": 64}
YAML = """
MODEL:
  META_ARCHITECTURE: GeneralizedRCNN
  BACKBONE: {NAME: build_fcos_vovnet_fpn_backbone, FREEZE_AT: 0}
  VOVNET: {CONV_BODY: V-19-slim-eSE, OUT_FEATURES: [stage3, stage4, stage5]}
  FPN: {IN_FEATURES: [stage3, stage4, stage5], OUT_CHANNELS: 64}
  PROPOSAL_GENERATOR: {NAME: FCOS}
  FCOS: {NUM_CLASSES: 2, NUM_CLS_CONVS: 1, NUM_BOX_CONVS: 1, POST_NMS_TOPK_TEST: 60}
  MASK_ON: true
  MASKIOU_ON: true
  ROI_HEADS: {NAME: CenterROIHeads, NUM_CLASSES: 2, IN_FEATURES: [p3, p4, p5]}
  ROI_MASK_HEAD: {NAME: SpatialAttentionMaskHead, ASSIGN_CRITERION: ratio, NUM_CONV: 1}
  PIXEL_MEAN: [128, 128, 128]
  PIXEL_STD: [11.578, 11.578, 11.578]
SOLVER: {STEPS: (80000, 90000), BASE_LR: 0.01}
INPUT: {MIN_SIZE_TEST: 128, MAX_SIZE_TEST: 200}
TEST: {DETECTIONS_PER_IMAGE: 2000}
"""


def centermask_shapes(
    size: str, classes: int, width: int, layers: int, hidden: int = 1024
) -> dict[str, Shape]:
    """Name and shape of every tensor of a CenterMask with this trunk, without ignored ones."""
    return (
        dict(_trunk(size))
        | dict(_pyramid(size, width))
        | dict(_heads(classes, width, layers, hidden))
    )


def tiny_checkpoint() -> dict[str, torch.Tensor]:
    """State dict of the tiny network; every number follows from its name and place."""
    return {
        name: torch.from_numpy(_values(name, s)) for name, s in centermask_shapes(**TINY).items()
    }


def write_tiny(folder: Path) -> tuple[Path, Path]:
    """The checkpoint and the configuration of its training, as files."""
    checkpoint, config = folder / "model_final.pth", folder / "config.yaml"
    torch.save({"model": tiny_checkpoint(), "iteration": 1}, checkpoint)
    config.write_text(YAML)
    return checkpoint, config


def found_by(bundle: ModelBundle) -> tuple[dict[str, NDArray[Any]], SegmentResult]:
    """What the network says of the generated picture, in its pixels, and what a user gets."""
    image, _ = phase_contrast_scene((96, 128), seed=3)
    listener: Any = Listener(bundle.load_network(for_inference=True))
    everything = SegmentConfig(
        preset="fast", device="cpu", tile="off", min_score=0, box_nms=1, mask_nms=1, min_size=0
    )
    result = Segmenter(bundle, everything, detector=listener).segment(image)
    (found,) = listener.heard
    boxes = found.boxes.numpy() * np.float32(0.75)  # 96 pixels became 128
    masks = paste(found.mask_probs.numpy(), boxes, image.shape)
    return {
        "boxes": boxes,
        "labels": found.labels.numpy(),
        "scores": found.scores.numpy(),
        "mask_scores": found.columns["mask_score"].numpy(),
        "areas": masks.area(),
    }, result


def _values(name: str, shape: Shape) -> NDArray[np.float32]:
    # This generator is frozen: numpy promises the same stream for ever.
    random = np.random.RandomState(zlib.crc32(name.encode()))
    values = random.standard_normal(shape)
    if name.endswith("running_var"):
        values = np.exp(0.2 * values)
    elif name.endswith(("norm.weight", "tower.1.weight", ".scale")):
        values = 1 + 0.1 * values
    elif len(shape) > 1:
        gain = {"cls_logits": 2.0, "maskiou.": 0.1}
        values *= np.sqrt(2 / np.prod(shape[1:]))
        values *= next((v for part, v in gain.items() if f".{part}" in name), 1.0)
    else:
        start = {"cls_logits.bias": -3.0, "bbox_pred.bias": 1.5, "maskiou.bias": 0.6}
        values = 0.1 * values + next((v for end, v in start.items() if name.endswith(end)), 0)
    return values.astype(np.float32)


def _conv_and_norm(
    name: str, outputs: int, inputs: int, kernel: int
) -> Iterator[tuple[str, Shape]]:
    yield f"{name}/conv.weight", (outputs, inputs, kernel, kernel)
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}/norm.{part}", (outputs,)


def _layer(name: str, *shape: int, outputs: int | None = None) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", (outputs or shape[0],)


def _trunk(size: str) -> Iterator[tuple[str, Shape]]:
    (inner, outer), blocks, layers = _BODIES[size]
    body, channels = "backbone.bottom_up", 3
    for number, outputs in enumerate((64, 64, 128), start=1):
        yield from _conv_and_norm(f"{body}.stem.stem_{number}", outputs, channels, 3)
        channels = outputs
    for stage, middle, outputs, count in zip((2, 3, 4, 5), inner, outer, blocks, strict=True):
        for block in range(1, count + 1):
            osa = f"OSA{stage}_{block}"
            name, inputs = f"{body}.stage{stage}.{osa}", channels
            for layer in range(layers):
                yield from _conv_and_norm(f"{name}.layers.{layer}.{osa}_{layer}", middle, inputs, 3)
                inputs = middle
            joined = channels + layers * middle
            yield from _conv_and_norm(f"{name}.concat.{osa}_concat", outputs, joined, 1)
            yield from _layer(f"{name}.ese.fc", outputs, outputs, 1, 1)
            channels = outputs


def _pyramid(size: str, width: int) -> Iterator[tuple[str, Shape]]:
    for level, channels in zip((3, 4, 5), _BODIES[size][0][1][1:], strict=True):
        yield from _layer(f"backbone.fpn_lateral{level}", width, channels, 1, 1)
        yield from _layer(f"backbone.fpn_output{level}", width, width, 3, 3)
    for level in (6, 7):
        yield from _layer(f"backbone.top_block.p{level}", width, width, 3, 3)


def _heads(classes: int, width: int, layers: int, hidden: int) -> Iterator[tuple[str, Shape]]:
    head = "proposal_generator.fcos_head"
    for tower in ("cls_tower", "bbox_tower"):
        for layer in range(layers):
            yield from _layer(f"{head}.{tower}.{3 * layer}", width, width, 3, 3)
            yield from _layer(f"{head}.{tower}.{3 * layer + 1}", width)
    for name, outputs in (("cls_logits", classes), ("bbox_pred", 4), ("ctrness", 1)):
        yield from _layer(f"{head}.{name}", outputs, width, 3, 3)
    for level in range(5):
        yield f"{head}.scales.{level}.scale", (1,)
    head = "roi_heads.mask_head"
    for layer in range(1, layers + 1):
        yield from _layer(f"{head}.mask_fcn{layer}", width, width, 3, 3)
    yield f"{head}.spatialAtt.conv.weight", (1, 2, 3, 3)
    yield from _layer(f"{head}.deconv", width, width, 2, 2)
    yield from _layer(f"{head}.predictor", classes, width, 1, 1)
    head = "roi_heads.maskiou_head"
    for layer in range(1, layers + 1):
        yield from _layer(f"{head}.maskiou_fcn{layer}", width, width + (layer == 1), 3, 3)
    yield from _layer(f"{head}.maskiou_fc1", hidden, width * 49)
    yield from _layer(f"{head}.maskiou_fc2", hidden, hidden)
    yield from _layer(f"{head}.maskiou", classes, hidden)


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        checkpoint, config = write_tiny(Path(place))
        imported = import_checkpoint(checkpoint, config=config, folder=Path(place) / "models")
        said, _ = found_by(imported.bundle)
    best = {name: np.round(column[:40].astype(np.float64), 4) for name, column in said.items()}
    EXPECTED.write_text(json.dumps({name: column.tolist() for name, column in best.items()}) + "\n")
