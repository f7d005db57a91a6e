"""Which cell type an image shows, decided from the image as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import timm
import torch
from torch import nn
from torch.nn import functional

from napari_sartorius.core.errors import UserError
from napari_sartorius.nn.network import Network

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.config import ImageClassifierConfig
    from napari_sartorius.nn.detector import Detections, DetectLimits
    from napari_sartorius.nn.targets import Target


class ImageClassifier(Network):
    """A timm network with one output per cell type.

    Parameters
    ----------
    config
        The architecture tree.

    Raises
    ------
    UserError
        When timm has no such network or it takes none of the options.
    """

    size_divisibility = 1

    def __init__(self, config: ImageClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.body = _create(config)
        # timm's start is made for a thousand classes; with two or three it begins by being sure.
        for layer in self.body.get_classifier().modules():  # type: ignore[operator]
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)

    def forward(self, batch: Tensor) -> Tensor:
        """Class logits (B, K) of a (B, C, H, W) normalised batch, float32."""
        size = self.config.image_size
        if size is not None and tuple(batch.shape[-2:]) != size:
            batch = functional.interpolate(
                batch, size=size, mode="bilinear", align_corners=False, antialias=True
            )
        logits: Tensor = self.body(batch).float()
        return logits

    @torch.inference_mode()
    def classify(self, batch: Tensor) -> Tensor:
        """Class probabilities (B, K) of a (B, C, H, W) normalised batch, float32."""
        probabilities: Tensor = self(batch).softmax(dim=1)
        return probabilities

    def losses(self, batch: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """Loss against the most frequent category among the objects of each image.

        An image without objects teaches nothing and counts as zero.
        """
        rows = [i for i, target in enumerate(targets) if len(target.labels)]
        logits = self(batch)
        if not rows:
            return {"image_class": logits.sum() * 0}
        labels = torch.stack([targets[i].labels.mode().values for i in rows])
        return {"image_class": functional.cross_entropy(logits[rows], labels)}

    def detect(
        self,
        batch: Tensor,
        limits: DetectLimits | None = None,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[Detections]:
        """Refuse in a sentence: a classifier finds no objects."""
        del batch, limits, image_sizes
        raise UserError(
            "this model tells which cell type an image shows and finds no objects; choose a model "
            "that does"
        )


def _create(config: ImageClassifierConfig) -> nn.Module:
    trunk = config.trunk
    options: dict[str, Any] = {"drop_path_rate": trunk.drop_path} if trunk.drop_path else {}
    if config.image_size is not None and _has_fixed_size(trunk.name):
        options["img_size"] = config.image_size
    try:
        body: nn.Module = timm.create_model(
            trunk.name,
            num_classes=config.num_classes,
            in_chans=trunk.in_channels,
            drop_rate=config.dropout,
            **options,
        )
    except (RuntimeError, TypeError, AssertionError) as error:
        # timm has no common class for a name it does not know and options a network lacks.
        raise UserError(
            f"timm cannot make the classifier {trunk.name} with these options ({error}); choose "
            "another name or leave the options out"
        ) from error
    return body


def _has_fixed_size(name: str) -> bool:
    """Whether timm's network is made for one image size, as those with attention are."""
    known = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return bool(getattr(known, "fixed_input_size", False))
