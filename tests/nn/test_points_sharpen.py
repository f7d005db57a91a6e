"""A small network with PointRend learns two crops by heart, and its outlines get better for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_sartorius.nn.build import build_network
from napari_sartorius.nn.config import (
    BoxHeadConfig,
    MaskHeadConfig,
    MaskRCNNConfig,
    PointHeadConfig,
    PoolerConfig,
    ProposalConfig,
    PyramidConfig,
    TrunkConfig,
)
from napari_sartorius.nn.mask_rcnn import MaskRCNN
from two_crops import (
    average_precision_50,
    found_in,
    learn_by_heart,
    real_data,
    truth_of,
    two_crops,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.training.images import AnnotatedImage


@pytest.fixture(scope="module")
def crops() -> list[AnnotatedImage]:
    return two_crops(real_data())


@pytest.fixture(scope="module")
def trained(crops: list[AnnotatedImage]) -> tuple[MaskRCNN, list[dict[str, float]]]:
    torch.manual_seed(0)
    network = build_network(
        MaskRCNNConfig(
            num_classes=1,
            trunk=TrunkConfig(name="resnet18", widths=(16, 32, 48, 64)),
            pyramid=PyramidConfig(width=32),
            proposals=ProposalConfig(
                batch_per_image=128, pre_nms_topk_train=200, post_nms_topk_train=100
            ),
            box_head=BoxHeadConfig(width=64, batch_per_image=64),
            mask_head=MaskHeadConfig(
                pooler=PoolerConfig(resolution=4, sampling_ratio=1),
                width=32,
                layers=2,
                batch_per_image=32,
                points=PointHeadConfig(width=32, points=256, train_points=64),
            ),
        )
    )
    assert isinstance(network, MaskRCNN)
    return network, learn_by_heart(network, crops, 140, 5e-3)


def test_it_learns_two_crops(
    trained: tuple[MaskRCNN, list[dict[str, float]]], crops: list[AnnotatedImage]
) -> None:
    network, history = trained
    first, last = (sum(losses.values()) for losses in (history[0], history[-1]))
    assert last < first / 4
    assert history[-1]["mask_points"] < history[0]["mask_points"] / 3
    assert average_precision_50(network, crops) > 0.8


def test_outlines_are_better_than_those_of_the_mask_head(
    trained: tuple[MaskRCNN, list[dict[str, float]]], crops: list[AnnotatedImage]
) -> None:
    network, _ = trained
    refined = _outline_iou(network, crops)
    head, network.point_head = network.point_head, None
    coarse = _outline_iou(network, crops)
    network.point_head = head
    assert refined > coarse + 0.03


def _outline_iou(network: MaskRCNN, crops: list[AnnotatedImage]) -> float:
    """Mean over true objects of the boundary IoU (Cheng et al. 2021) with what fits best."""
    values = []
    for crop, found in zip(crops, found_in(network, crops), strict=True):
        bands = _bands(found)
        values += [max(_iou(band, other) for other in bands) for band in _bands(truth_of(crop))]
    return float(np.mean(values))


def _bands(objects: Instances) -> list[NDArray[np.bool_]]:
    """Pixels of each object that are at most two pixels from its outline."""
    bands = []
    for index in range(len(objects)):
        mask = objects.masks.full(index)
        bands.append(mask & ~ndimage.binary_erosion(mask, iterations=2))
    return bands


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))
