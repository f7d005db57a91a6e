"""Stage-wise averaging over networks and views: proposals, then boxes, then masks (11th place).

Every stage is one decision of all networks: the proposals come from the mean of their objectness
and box deltas, every box head scores the same proposals in every view, and every mask head draws
the same final boxes. No network's error can be repaired by fusing finished objects as well as by
never making it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.views import View
from napari_sartorius.ensemble.box_means import best_of_each_box, look_columns
from napari_sartorius.ensemble.joined import JoinedNetwork, Kept
from napari_sartorius.ensemble.joint_proposals import joint_proposals, mean_objectness
from napari_sartorius.ensemble.proposal_counts import count_places
from napari_sartorius.nn.detector import Detections, DetectLimits, ScoredBoxes
from napari_sartorius.nn.keep_best import keep_best
from napari_sartorius.nn.mask_rcnn import likely_boxes
from napari_sartorius.nn.proposals import ProposalChoice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sartorius.ensemble.member_input import MemberInput
    from napari_sartorius.ensemble.proposal_counts import CountRule
    from napari_sartorius.ensemble.sight import Sight, Size
    from napari_sartorius.ensemble.stage_config import StageMeansConfig
    from napari_sartorius.nn.detector import Proposals
    from napari_sartorius.nn.network import Network


class Opinions(NamedTuple):
    """What every look says of the boxes of one image.

    Attributes
    ----------
    probabilities
        (L, N, K + 1), background last.
    boxes
        (L, N, K or 1, 4) xyxy in pixels of the image.
    """

    probabilities: Tensor
    boxes: Tensor

    def mean(self) -> ScoredBoxes:
        """Mean over the looks."""
        return ScoredBoxes(self.probabilities.mean(dim=0), self.boxes.mean(dim=0))


class StageMeans(JoinedNetwork):
    """Networks joined by averaging at every stage.

    Raw objectness and deltas are averaged, unflipped, over networks whose anchors, strides and
    input scale are the same. Where there are several such groups, or networks without anchors,
    every group proposes for itself, and NMS makes one list of all proposals.

    Parameters
    ----------
    networks, config, inputs, names
        As `napari_sartorius.ensemble.join.join` describes them.
    """

    fusion: StageMeansConfig

    def __init__(
        self,
        networks: Sequence[Network],
        config: StageMeansConfig,
        inputs: Sequence[MemberInput] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(networks, config, inputs, names)
        if View() not in self.views:
            raise UserError(
                "proposals are made of the image as it is, so the view identity must be one of the "
                f"views, which are {', '.join(map(str, self.views))}; add it"
            )

    @torch.inference_mode()
    def detect(
        self,
        batch: Tensor,
        limits: DetectLimits | None = None,
        image_sizes: list[Size] | None = None,
    ) -> list[Detections]:
        """Find the objects of each image; parameters as in `Network.detect`.

        Boxes that may be objects are looked at again as often as the network asks for that does so
        most often.
        """
        limits = limits or DetectLimits()
        if self.fusion.box_nms is not None:
            limits = replace(limits, nms=self.fusion.box_nms)
        sizes = image_sizes or [(batch.shape[2], batch.shape[3])] * len(batch)
        sights = self.look(batch, sizes)
        proposals = self.propose_jointly(sights, sizes, limits.part)
        opinions = self._score(sights, [one.boxes for one in proposals])
        for _ in range(max(int(getattr(m, "refinements", 0)) for m in self.members)):
            opinions = self._look_again(sights, opinions, sizes, limits.score)
        models = [sight.model for sight in sights for _ in sight.views]
        kept = [
            self._keep(one, proposal, size, limits, models)
            for one, proposal, size in zip(opinions, proposals, sizes, strict=True)
        ]
        return self.finish(sights, kept)

    @torch.inference_mode()
    def cell_types(
        self, batch: Tensor, rule: CountRule, image_sizes: list[Size] | None = None
    ) -> list[str]:
        """What the joint proposals tell of the cell type of each image.

        Raises
        ------
        UserError
            When the networks do not all have the same anchors.
        """
        sizes = image_sizes or [(batch.shape[2], batch.shape[3])] * len(batch)
        maps, anchors = mean_objectness(self.look(batch, sizes, self.views.index(View())))
        levels = [level.float().cpu().numpy() for level in maps]
        return [
            rule.cell_type(count_places([level[i] for level in levels], anchors, rule.probability))
            for i in range(len(sizes))
        ]

    def propose_jointly(
        self, sights: list[Sight], sizes: list[Size], part: bool = False
    ) -> list[Proposals]:
        """Candidate boxes of each image on which all networks have a say.

        `part` is that of `DetectLimits`.
        """
        config = self.fusion
        choice = ProposalChoice(
            config.proposal_score, config.proposal_nms, config.proposals_per_level, part
        )
        return joint_proposals(sights, sizes, choice)

    def _score(self, sights: list[Sight], boxes: list[Tensor]) -> list[Opinions]:
        """What all looks say of boxes of each image."""
        looks = [images for sight in sights for images in sight.score(boxes)]
        return [self._opinions(list(image)) for image in zip(*looks, strict=True)]

    def _opinions(self, scored: list[ScoredBoxes]) -> Opinions:
        classes = {one.probabilities.shape[1] for one in scored}
        if len(classes) > 1:
            raise UserError(
                f"the networks {', '.join(self.names)} have different numbers of categories "
                f"({', '.join(str(c - 1) for c in sorted(classes))}); only networks with the same "
                "categories can be joined"
            )
        kinds = max(one.boxes.shape[1] for one in scored)
        return Opinions(
            torch.stack([one.probabilities for one in scored]),
            torch.stack([one.boxes.expand(-1, kinds, -1) for one in scored]),
        )

    def _look_again(
        self, sights: list[Sight], opinions: list[Opinions], sizes: list[Size], least: float
    ) -> list[Opinions]:
        """Score the boxes that may be objects once more where they are now; the others stay."""
        chosen = [
            likely_boxes(one.mean(), size, least) for one, size in zip(opinions, sizes, strict=True)
        ]
        looked = self._score(sights, [boxes for _, boxes in chosen])
        results = []
        for old, new, (rows, _) in zip(opinions, looked, chosen, strict=True):
            mean = (old.probabilities[:, rows] + new.probabilities) / 2
            results.append(
                Opinions(
                    old.probabilities.index_copy(1, rows, mean),
                    old.boxes.index_copy(1, rows, new.boxes),
                )
            )
        return results

    def _keep(
        self,
        opinions: Opinions,
        proposals: Proposals,
        size: Size,
        limits: DetectLimits,
        models: list[int],
    ) -> Kept:
        """Final boxes of one image, and what the looks say of each."""
        mean, agnostic = opinions.mean(), self.fusion.class_agnostic_nms
        if agnostic:
            mean = best_of_each_box(mean)
        best = keep_best(mean, proposals, size, limits, agnostic)
        looks = opinions.probabilities[:, best.rows, best.labels]
        columns = look_columns(looks, models, self.fusion.vote_score)
        return Kept(best.boxes, best.scores, best.labels, best.capped, columns)
