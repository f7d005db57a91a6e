"""Several networks that look at the same boxes: what both strategies inside networks share."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.wording import plural
from napari_sartorius.ensemble.mask_means import MaskMean, rescored
from napari_sartorius.ensemble.member_input import MemberInput
from napari_sartorius.ensemble.sight import Sight, Size, see
from napari_sartorius.nn.detector import Detections
from napari_sartorius.nn.network import Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.core.views import View
    from napari_sartorius.ensemble.stage_config import BoxesThenMasksConfig, StageMeansConfig
    from napari_sartorius.nn.targets import Target

_STAGES = ("features", "propose", "score_boxes", "predict_masks")
# Bytes per input pixel that the maps of one more look take, in units of those that one whole pass
# takes at its peak (see `napari_sartorius.inference.memory`): 256 channels at half resolution in
# float32 and a third more for the coarser levels, of 2000.
_SHARE_OF_PEAK = 256 * 4 / 4 * 4 / 3 / 2000


class Kept(NamedTuple):
    """Final boxes of one image (N, 4), scores and labels (N,), further columns (N,) each."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    capped: bool
    columns: dict[str, Tensor]


class JoinedNetwork(Network):
    """Networks whose stages are joined; detects as one network does.

    All that is said of an object (`members`, `votes`, `agreement`, `score_spread`,
    `mask_agreement`, see `napari_sartorius.ensemble.looks`) is in the columns of the detections, a
    look being one network in one view.

    Parameters
    ----------
    networks, config, inputs, names
        As `napari_sartorius.ensemble.join.join` describes them.

    Attributes
    ----------
    views_together
        Whether views whose pictures have the same shape go through a network in one pass. None
        does so except on the processor, where that is no faster and only takes more memory.
    """

    views_together: bool | None = None

    def __init__(
        self,
        networks: Sequence[Network],
        config: StageMeansConfig | BoxesThenMasksConfig,
        inputs: Sequence[MemberInput] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.names = list(names or (f"network {i + 1}" for i in range(len(networks))))
        self.inputs = list(inputs or [MemberInput()] * len(networks))
        _check(networks, self.names)
        self.members = nn.ModuleList(networks)
        self.fusion = config
        self.views = config.parsed_views
        self.size_divisibility = math.lcm(*(int(n.size_divisibility) for n in networks))
        self.eval()

    @property
    def memory_growth(self) -> float:
        """How much more memory a pixel takes than with one network and one view."""
        areas = [[(v.scale * i.scale) ** 2 for v in self.views] for i in self.inputs]
        device = next(self.parameters()).device
        passes = [sum(views) if self._together(device) else max(views) for views in areas]
        held = sum(map(sum, areas)) - areas[0][0]
        return max(passes) + _SHARE_OF_PEAK * held

    def _together(self, device: torch.device) -> bool:
        return device.type != "cpu" if self.views_together is None else self.views_together

    def losses(self, batch: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """Refuse to train.

        Raises
        ------
        UserError
            Always.
        """
        raise UserError(
            "networks that were joined cannot be trained together; train each of them and join "
            "the results"
        )

    def look(self, batch: Tensor, sizes: list[Size], only: int | None = None) -> list[Sight]:
        """What every network sees in every view, or in one of them."""
        together = self._together(batch.device)
        sights = []
        for model, (member, given) in enumerate(zip(self.members, self.inputs, strict=True)):
            groups: dict[object, list[tuple[View, Tensor]]] = {}
            for view in self.views if only is None else self.views[only : only + 1]:
                own = replace(view, scale=view.scale * given.scale)
                seen = see(batch, sizes, own, given, self.size_divisibility)
                groups.setdefault(seen.shape if together else view, []).append((own, seen))
            sights += [self._sight(member, model, group, sizes) for group in groups.values()]
        return sights

    def _sight(
        self, member: Any, model: int, seen: list[tuple[View, Tensor]], sizes: list[Size]
    ) -> Sight:
        pictures = seen[0][1] if len(seen) == 1 else torch.cat([one for _, one in seen])
        return Sight(
            member,
            model,
            tuple(view for view, _ in seen),
            tuple(view.box_map(size) for view, _ in seen for size in sizes),
            member.features(pictures),
            self.inputs[model].scale,
            self.fusion.half_pixel_shift,
        )

    def finish(self, sights: list[Sight], kept: list[Kept]) -> list[Detections]:
        """Let every network draw the final boxes in every view, and average the masks."""
        means = [MaskMean() for _ in kept]
        boxes, labels = [one.boxes for one in kept], [one.labels for one in kept]
        for sight in sights:
            for images in sight.draw(boxes, labels):
                for mean, masks in zip(means, images, strict=True):
                    mean.add(masks)
        return [self._finished(one, mean) for one, mean in zip(kept, means, strict=True)]

    def _finished(self, kept: Kept, mean: MaskMean) -> Detections:
        masks = mean.probabilities()
        columns = kept.columns | {"mask_agreement": mean.agreement()}
        result = Detections(kept.boxes, kept.scores, kept.labels, masks, kept.capped, columns)
        return rescored(result) if self.fusion.rescore else result


def _check(networks: Sequence[Network], names: Sequence[str]) -> None:
    if not networks:
        raise UserError("an ensemble needs at least one network; name its members")
    for network, name in zip(networks, names, strict=True):
        if not all(hasattr(network, stage) for stage in _STAGES):
            raise UserError(
                f"{name} cannot be given boxes of other networks, so it cannot be joined with them "
                "stage by stage; choose a strategy that fuses finished objects, or leave it out"
            )
    counts = [getattr(getattr(n, "config", None), "num_classes", None) for n in networks]
    known = [(count, name) for count, name in zip(counts, names, strict=True) if count is not None]
    for count, name in known[1:]:
        if count != known[0][0]:
            raise UserError(
                f"{known[0][1]} has {plural(known[0][0], 'category', 'categories')} and {name} has "
                f"{count}; only networks with the same categories can be joined"
            )
