"""SOLOv2: shapes under both stems, limits, what it learns; the size of an image is no matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.evaluation.coco_ap import coco_average_precision
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.nn import dynamic_masks
from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import (
    Architecture,
    GridConfig,
    GridHeadConfig,
    MaskFeatureConfig,
    MatrixNMSConfig,
    PyramidConfig,
    SOLOv2Config,
    TrunkConfig,
)
from napari_sartorius.nn.detector import DetectLimits
from napari_sartorius.nn.positions import anchored, waves
from napari_sartorius.nn.solov2 import SOLOv2
from napari_sartorius.nn.targets import Target
from napari_sartorius.zoo import CategoryCard, ModelBundle, ModelCard, Thresholds, save_bundle
from two_crops import as_batch, average_precision_50, learn_by_heart, real_data, two_crops

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_sartorius.training.images import AnnotatedImage


def _tree(stem_stride: int = 1, classes: int = 1, **changes: object) -> SOLOv2Config:
    fields: dict[str, object] = {
        "num_classes": classes,
        "trunk": TrunkConfig(name="resnet18", widths=(16, 16, 16, 16), stem_stride=stem_stride),
        "pyramid": PyramidConfig(width=16),
        "grids": (GridConfig(stride=8, objects=(0, 32)), GridConfig(stride=16, objects=(24, 1e5))),
        "head": GridHeadConfig(layers=2, width=32, groups=8),
        "mask_feature": MaskFeatureConfig(width=16, channels=32, groups=8),
    }
    return SOLOv2Config.model_validate(fields | changes)


def _network(tree: SOLOv2Config) -> SOLOv2:
    torch.manual_seed(0)
    network = build_network(tree)
    assert isinstance(network, SOLOv2)
    return network


def _talkative(tree: SOLOv2Config) -> SOLOv2:
    """Random weights that find something everywhere."""
    network = _network(tree).eval()
    head = network.grid_head
    torch.nn.init.normal_(head.categories.weight, std=0.3)
    torch.nn.init.zeros_(head.categories.bias)  # type: ignore[arg-type]
    torch.nn.init.normal_(head.kernels.weight, std=0.3)
    return network


@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize("wavelengths", [(), (32.0, 128.0)])
def test_it_detects_under_both_stems(stem_stride: int, wavelengths: tuple[float, ...]) -> None:
    network = _talkative(_tree(stem_stride, classes=3, wavelengths=wavelengths))
    assert network.stride == 2 * stem_stride
    assert network.size_divisibility == 16 * stem_stride
    batch, sizes = torch.randn(2, 1, 64, 96), [(64, 96), (50, 70)]
    with torch.inference_mode():
        grids = network.grids(network.features(batch), (64, 96))
    assert [tuple(g.logits.shape) for g in grids] == [(2, 3, 8, 12), (2, 3, 4, 6)]
    found = network.detect(batch, DetectLimits(score=0.01), sizes)
    for one, (height, width) in zip(found, sizes, strict=True):
        assert len(one.boxes) > 3
        assert one.mask_probs.shape == (len(one.boxes), 56, 56)
        assert (one.scores[:-1] >= one.scores[1:]).all()
        assert (one.boxes[:, 2:] > one.boxes[:, :2]).all()
        assert float(one.boxes.min()) >= 0
        assert float(one.boxes[:, 2].max()) <= width
        assert float(one.boxes[:, 3].max()) <= height
        assert (one.mask_probs.amax(dim=(1, 2)) > 0.5).all()
    again = network.detect(batch, DetectLimits(score=0.01), sizes)
    assert torch.equal(again[1].mask_probs, found[1].mask_probs)


def test_limits_are_honoured_and_reported() -> None:
    network = _talkative(_tree(classes=2))
    batch = torch.randn(1, 1, 64, 96)
    every = network.detect(batch, DetectLimits(score=0.01, nms=1.0))[0]
    assert not every.capped
    few = network.detect(batch, DetectLimits(score=0.01, nms=1.0, max_detections=4))[0]
    torch.testing.assert_close(few.scores, every.scores[:4])
    assert few.capped
    unwanted = DetectLimits(score=0.01, nms=1.0, max_detections=4, wanted=(0.99, 0.99))
    assert not network.detect(batch, unwanted)[0].capped
    strict = network.detect(batch, DetectLimits(score=0.01, nms=0.3))[0]
    assert 0 < len(strict.scores) < len(every.scores)
    assert len(network.detect(batch, DetectLimits(score=0.99))[0].scores) == 0
    network.config = network.config.model_copy(update={"nms": MatrixNMSConfig(candidates=5)})
    cut = network.detect(batch, DetectLimits(score=0.01, nms=1.0))[0]
    assert cut.capped
    assert len(cut.scores) <= 5


def test_parts_give_what_all_at_once_give(monkeypatch: pytest.MonkeyPatch) -> None:
    network = _talkative(_tree())
    batch = torch.randn(1, 1, 64, 96)
    whole = network.detect(batch, DetectLimits(score=0.01))[0]
    monkeypatch.setattr(dynamic_masks, "_CHUNK_ELEMENTS", 1)
    parts = network.detect(batch, DetectLimits(score=0.01))[0]
    torch.testing.assert_close(parts.mask_probs, whole.mask_probs)
    monkeypatch.setattr(dynamic_masks, "_MASK_ELEMENTS", 1000)
    short = network.detect(batch, DetectLimits(score=0.01))[0]
    assert short.capped
    assert len(short.scores) < len(whole.scores)


def test_waves_are_counted_from_the_cell() -> None:
    lengths = (20.0, 50.0)
    fine = waves(torch.zeros(1, 1, 30, 40), 2, lengths)
    coarse = waves(torch.zeros(1, 1, 8, 10), 8, lengths)
    weights = torch.randn(1, 8, 1, 1).expand(-1, -1, 8, 10)
    kernels = anchored(weights, coarse)
    responses = torch.einsum("erc,ehw->rchw", kernels[0], fine[0])
    # Cells 3 rows and 2 columns apart see the same, 12 elements lower and 8 further right.
    torch.testing.assert_close(
        responses[1, 2, :18, :32], responses[4, 4, 12:, 8:], atol=1e-4, rtol=1e-4
    )
    assert float(responses[1, 2].std()) > 0.1


def test_windows_give_what_the_whole_map_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    network = _talkative(_tree(2, grids=(GridConfig(stride=8, objects=(0, 20)),), reach=0.8))
    batch = torch.randn(1, 1, 160, 192)
    monkeypatch.setattr(dynamic_masks, "_GROUP_SIDE", 40)
    windows = network.detect(batch, DetectLimits(score=0.01))[0]
    monkeypatch.setattr(dynamic_masks, "_GROUP_SIDE", 1024)
    whole = network.detect(batch, DetectLimits(score=0.01))[0]
    assert len(whole.scores) > 20
    torch.testing.assert_close(windows.boxes, whole.boxes, atol=1e-3, rtol=0)
    torch.testing.assert_close(windows.mask_probs, whole.mask_probs, atol=1e-4, rtol=0)


def test_a_box_touches_the_interpolated_outline() -> None:
    y, x = torch.meshgrid(torch.arange(24), torch.arange(30), indexing="ij")
    response = torch.stack(
        [
            (10.0 - ((x - 12.3) ** 2 + (y - 9.7) ** 2).sqrt()).sigmoid(),
            (8.0 - (x - 2.0).abs() - 0.5 * (y - 20.0).abs()).sigmoid(),
        ]
    )
    owner, row, column = torch.nonzero(response > 0.5, as_tuple=True)
    masks = dynamic_masks.SparseMasks(owner.int(), (row * 30 + column).int(), 2)
    logits = response.logit()
    cells = dynamic_masks._Cells(
        torch.ones(2),
        torch.zeros(2, dtype=torch.int64),
        torch.eye(2),
        torch.tensor([[50.0, 40.0], [8.0, 80.0]]),
        torch.full((2,), 1000.0),
    )
    boxes, squares = dynamic_masks._cut_out(masks, cells, logits, 4, 28)
    fine = torch.nn.functional.interpolate(
        response[:, None], scale_factor=20, mode="bilinear", align_corners=False
    )[:, 0]
    for box, one in zip(boxes, fine > 0.5, strict=True):
        rows, columns = torch.nonzero(one, as_tuple=True)
        wanted = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        torch.testing.assert_close(box, torch.stack(wanted) / 5, atol=0.25, rtol=0)
    assert squares.shape == (2, 28, 28)
    assert float(squares[0, 14, 14]) > 0.99


def test_an_image_without_objects_trains_too() -> None:
    nothing = Target(
        torch.zeros(0, 4),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(1, dtype=torch.uint8),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(0, 4, dtype=torch.int64),
    )
    losses = _network(_tree()).losses(torch.randn(1, 1, 64, 64), [nothing])
    assert float(losses["mask"].detach()) == 0
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]


def test_trees_are_read_back_and_checked() -> None:
    reader: TypeAdapter[SOLOv2Config] = TypeAdapter(Architecture)
    tree = SOLOv2Config(num_classes=3)
    assert reader.validate_json(tree.model_dump_json()) == tree
    assert tree.smallest_object == 8
    gap = (GridConfig(stride=8, objects=(0, 30)), GridConfig(stride=16, objects=(40, 99)))
    with pytest.raises(ValidationError, match="no gap"):
        SOLOv2Config(num_classes=1, grids=gap)
    with pytest.raises(ValidationError, match="groups"):
        SOLOv2Config(num_classes=1, head=GridHeadConfig(width=20, groups=16))
    with pytest.raises(ValidationError, match="larger than"):
        SOLOv2Config(num_classes=1, grids=(GridConfig(stride=8, objects=(9, 9)),))


@pytest.fixture(scope="module")
def crops() -> list[AnnotatedImage]:
    return two_crops(real_data())


@pytest.fixture(scope="module")
def trained(crops: list[AnnotatedImage]) -> tuple[SOLOv2, list[dict[str, float]]]:
    network = _network(_tree())
    return network, learn_by_heart(network, crops, 70, 5e-3)


def test_it_learns_two_crops(
    trained: tuple[SOLOv2, list[dict[str, float]]], crops: list[AnnotatedImage]
) -> None:
    network, history = trained
    for name in ("category", "mask"):
        assert history[-1][name] < history[0][name] / 8
    assert average_precision_50(network, crops) > 0.8


def test_weights_survive_a_bundle(
    trained: tuple[SOLOv2, list[dict[str, float]]], crops: list[AnnotatedImage], tmp_path: Path
) -> None:
    network, _ = trained
    bundle = save_bundle(tmp_path / "m", _card(network.config), network.state_dict(), "float32")
    loaded = ModelBundle.open(bundle.path).load_network()
    state = loaded.state_dict()
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    network.eval()
    batch, _ = as_batch(crops)
    given, wanted = (n.detect(batch)[0] for n in (loaded, network))
    torch.testing.assert_close(given.mask_probs, wanted.mask_probs)


def _card(tree: SOLOv2Config) -> ModelCard:
    return ModelCard(
        name="discs",
        title="Discs",
        description="Bright discs.",
        categories=(CategoryCard(name="disc", colour="#e69f00"),),
        cell_diameter=13.0,
        architecture=tree,
        licence="CC0-1.0",
        training_data="generated",
        normalisation=Normalisation(method="fixed", mean=0.0, std=1.0),
        thresholds={"disc": Thresholds(score=0.3, min_size=10)},
    )


def _discs(seed: int, height: int, width: int) -> tuple[NDArray[np.float32], CropMasks]:
    """Bright discs side by side on noise, a third of their places free."""
    rng = np.random.default_rng(seed)
    image = rng.normal(0, 0.2, (height, width)).astype(np.float32)
    rows, columns = np.mgrid[:height, :width] + 0.5
    masks = []
    for y in range(10, height - 5, 20):
        for x in range(10, width - 5, 20):
            if rng.random() < 0.35:
                continue
            dy, dx = rng.uniform(-2, 2, 2)
            mask = np.hypot(rows - y - dy, columns - x - dx) <= rng.uniform(5, 8)
            image[mask] += 2
            masks.append(mask)
    return image, CropMasks.from_full(np.stack(masks)).tight()


def test_what_is_learnt_on_crops_holds_on_a_tiled_image(tmp_path: Path) -> None:
    network = _network(_tree(2, grids=(GridConfig(stride=8, objects=(0, 32)),)))
    network.train()
    optimiser = torch.optim.AdamW(network.parameters())
    for step in range(120):
        rate = 5e-3 * min(1.0, (step + 1) / 10) * (0.55 + 0.45 * np.cos(np.pi * step / 120))
        optimiser.param_groups[0]["lr"] = rate
        pairs = [_discs(1000 + 2 * step + i, 96, 96) for i in range(2)]
        batch = torch.stack([torch.from_numpy(image)[None] for image, _ in pairs])
        losses = network.losses(batch, [_target(masks) for _, masks in pairs])
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    bundle = save_bundle(tmp_path / "discs", _card(network.config), network.state_dict())
    image, masks = _discs(99, 230, 330)
    config = SegmentConfig(device="cpu", tile=160, preset="fast", precision="float32")
    result = Segmenter(bundle, config).segment(image)
    assert result.tiles >= 4
    truth = Instances.from_masks(masks)
    assert coco_average_precision([(truth, result.instances)], ["disc"]).overall.ap50 > 0.9
    # No disc is counted twice or cut at a seam.
    assert abs(len(result.instances) - len(truth)) <= 0.05 * len(truth)


def _target(masks: CropMasks) -> Target:
    return Target(
        boxes=torch.from_numpy(masks.bounding_boxes().astype(np.float32)),
        labels=torch.zeros(len(masks), dtype=torch.int64),
        bits=torch.from_numpy(masks.bits.astype(np.uint8)),
        offsets=torch.from_numpy(np.asarray(masks.offsets[:-1], dtype=np.int64)),
        bitmap_boxes=torch.from_numpy(masks.boxes.astype(np.int64)),
    )
