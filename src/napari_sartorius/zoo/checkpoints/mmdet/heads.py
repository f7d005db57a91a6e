"""What the tensors of an mmdetection checkpoint tell of its pyramid and heads."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.nn.config import (
    BoxHeadConfig,
    CascadeStageConfig,
    MaskHeadConfig,
    PoolerConfig,
    SemanticConfig,
)
from napari_sartorius.zoo.checkpoints.facts import Facts
from napari_sartorius.zoo.checkpoints.resnets import norm_of

if TYPE_CHECKING:
    from napari_sartorius.nn.config.norms import Norm

_DEVIATIONS = ((0.1, 0.1, 0.2, 0.2), (0.05, 0.05, 0.1, 0.1), (0.033, 0.033, 0.067, 0.067))
_OVERLAPS = (0.5, 0.6, 0.7)


def _stage(number: int) -> CascadeStageConfig:
    dx, dy, dw, dh = (1 / deviation for deviation in _DEVIATIONS[number])
    return CascadeStageConfig(delta_weights=(dx, dy, dw, dh), positive_iou=_OVERLAPS[number])


@dataclass(frozen=True)
class Heads:
    """Where the heads are and how many there are.

    Attributes
    ----------
    facts
        Shapes by name.
    root
        What the names of the heads begin with: ``roi_head.``, or nothing in version 1.
    stages
        Heads of a cascade; 0 for one plain head.
    """

    facts: Facts
    root: str
    stages: int

    @classmethod
    def of(cls, facts: Facts) -> Heads:
        """Find the heads.

        Raises
        ------
        UserError
            When there are as many as no known cascade has.
        """
        root = "roi_head." if any(n.startswith("roi_head.") for n in facts.weights) else ""
        stages = facts.count(rf"^{re.escape(root)}bbox_head\.(\d+)\.")
        masks = facts.count(rf"^{re.escape(root)}mask_head\.(\d+)\.")
        if stages != masks or stages not in (0, len(_OVERLAPS)):
            raise UserError(
                f"{facts.path} has {plural(stages or 1, 'box head')} and "
                f"{plural(masks or 1, 'mask head')}; only one of each or three of each can be "
                "imported"
            )
        return cls(facts, root, stages)

    @property
    def with_background(self) -> bool:
        """Whether predictors of boxes and masks have rows for the background (version 1)."""
        return not self.root

    @property
    def classes(self) -> int:
        """Classes without the background."""
        return self.facts.shape(f"{self._box}fc_cls.weight")[0] - 1

    @property
    def later(self) -> tuple[CascadeStageConfig, ...]:
        """The later stages of a cascade with mmdetection's box coding and overlaps."""
        return tuple(_stage(number) for number in range(1, self.stages))

    @property
    def _box(self) -> str:
        return f"{self.root}bbox_head.{'0.' if self.stages else ''}"

    @property
    def _mask(self) -> str:
        return f"{self.root}mask_head.{'0.' if self.stages else ''}"

    def box(self, width: int) -> BoxHeadConfig:
        """The first box head."""
        facts, head = self.facts, self._box
        name = f"{head}shared_fcs.0.weight"
        pooled = facts.shape(name)
        convolutions = facts.count(rf"^{re.escape(head)}shared_convs\.(\d+)\.")
        if convolutions:
            width = facts.shape(f"{head}shared_convs.0.conv.weight")[0]
        side = math.isqrt(pooled[1] // width)
        if side * side * width != pooled[1]:
            raise facts.odd(name)
        outputs = facts.shape(f"{head}fc_reg.weight")[0]
        if outputs not in (4, 4 * (self.classes + self.with_background)) or self.classes < 1:
            raise facts.odd(f"{head}fc_reg.weight")
        return BoxHeadConfig(
            pooler=pooler(side),
            convolutions=convolutions,
            conv_width=width,
            norm=layer_norm(facts, f"{head}shared_convs.0"),
            layers=facts.count(rf"^{re.escape(head)}shared_fcs\.(\d+)\."),
            width=pooled[0],
            class_agnostic=outputs == 4,
            batch_per_image=512,
            delta_weights=_stage(0).delta_weights,
        )

    def mask(self) -> MaskHeadConfig:
        """The first mask head."""
        facts, head = self.facts, self._mask
        outputs = facts.shape(f"{head}conv_logits.weight")[0]
        if outputs not in (1, self.classes + self.with_background):
            raise facts.odd(f"{head}conv_logits.weight")
        return MaskHeadConfig(
            pooler=pooler(14),
            layers=facts.count(rf"^{re.escape(head)}convs\.(\d+)\."),
            width=facts.shape(f"{head}upsample.weight")[1],
            norm=layer_norm(facts, f"{head}convs.0"),
            class_agnostic=outputs == 1 and self.classes > 1,
        )

    @property
    def mask_flow(self) -> bool:
        """Whether later mask heads see the one before them."""
        return f"{self.root}mask_head.1.conv_res.conv.weight" in self.facts.weights

    def semantic(self) -> SemanticConfig | None:
        """The semantic branch, where there is one."""
        head = f"{self.root}semantic_head."
        if f"{head}conv_logits.weight" not in self.facts.weights:
            return None
        return SemanticConfig(
            level=1,
            layers=self.facts.count(rf"^{re.escape(head)}convs\.(\d+)\."),
            classes=self.facts.shape(f"{head}conv_logits.weight")[0],
            pooler=pooler(14),
        )


def layer_norm(facts: Facts, layer: str) -> Norm:
    """What follows a convolution of mmdetection's blocks."""
    batch = norm_of(facts, f"{layer}.bn")
    return batch if batch != "none" else norm_of(facts, f"{layer}.gn")


def pooler(resolution: int) -> PoolerConfig:
    """Aligned RoIAlign that takes as many samples as a bin has pixels; levels as published."""
    return PoolerConfig(resolution=resolution, canonical_size=224.0, sampling_ratio=0)
