"""The usual way to train Mask R-CNN: torchvision's model, dataset and loop, as its references do.

Each image gives one full mask per object, which the transforms then cut and flip; a list of
dictionaries goes into the model, the losses are summed, SGD makes the step.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.models.detection import maskrcnn_resnet50_fpn
from torchvision.ops import masks_to_boxes
from torchvision.transforms import v2

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class CellDataset(Dataset[Any]):
    """Images with label images, in memory.

    Parameters
    ----------
    images, labels
        (Y, X) uint8, and (Y, X) int with 0 for the background.
    crop
        Side of the crop, pixels.
    length
        Samples of an epoch; images are taken in turns.
    """

    def __init__(
        self,
        images: Sequence[NDArray[np.uint8]],
        labels: Sequence[NDArray[np.integer[Any]]],
        crop: int,
        length: int,
    ) -> None:
        self.images = [torch.from_numpy(image)[None].repeat(3, 1, 1) for image in images]
        self.labels = [torch.from_numpy(label.astype("int64")) for label in labels]
        self.length = length
        self.transforms = v2.Compose(
            [
                v2.RandomCrop(crop),
                v2.RandomHorizontalFlip(0.5),
                v2.ToDtype(torch.float32, scale=True),
                v2.SanitizeBoundingBoxes(),
                v2.ToPureTensor(),
            ]
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        number = index % len(self.images)
        label = self.labels[number]
        ids = label.unique()
        masks = (label == ids[ids > 0][:, None, None]).to(torch.uint8)
        boxes = masks_to_boxes(masks)
        target = {
            "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=label.shape),  # type: ignore[call-overload]
            "masks": tv_tensors.Mask(masks),
            "labels": torch.ones(len(masks), dtype=torch.int64),
            "image_id": index,
            "area": (boxes[:, 3] - boxes[:, 1]) * (boxes[:, 2] - boxes[:, 0]),
            "iscrowd": torch.zeros(len(masks), dtype=torch.int64),
        }
        return self.transforms(tv_tensors.Image(self.images[number]), target)


class UsualTraining:
    """One step after the other, as the loop of the references makes them.

    Attributes
    ----------
    data_seconds, seconds
        Processor time that went into samples, and into everything.
    """

    def __init__(self, data: CellDataset, crop: int, batch: int, device: str) -> None:
        torch.manual_seed(0)
        self.device = torch.device(device)
        self.model = maskrcnn_resnet50_fpn(
            weights=None, weights_backbone=None, num_classes=2, min_size=crop, max_size=crop
        )
        self.model.to(self.device).train()
        learnt = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.SGD(learnt, lr=1e-3, momentum=0.9, weight_decay=1e-4)
        self.samples = iter(
            DataLoader(data, batch, shuffle=True, collate_fn=lambda pairs: tuple(zip(*pairs)))  # noqa: B905
        )
        self.data_seconds = self.seconds = 0.0

    def step(self) -> None:
        """Load a batch and learn from it.

        Raises
        ------
        RuntimeError
            When the loss is not finite.
        """
        start = time.process_time()
        images, targets = next(self.samples)
        images = [image.to(self.device) for image in images]
        targets = [
            {k: v.to(self.device) if isinstance(v, torch.Tensor) else v for k, v in one.items()}
            for one in targets
        ]
        self.data_seconds += time.process_time() - start
        losses = sum(self.model(images, targets).values())
        if not math.isfinite(losses.item()):
            raise RuntimeError("torchvision's loss is not finite")
        self.optimiser.zero_grad()
        losses.backward()
        self.optimiser.step()
        self.seconds += time.process_time() - start
