"""What each step of the ladder gives on annotated images: views, ensembles, filters, second level.

    python benchmarks/ladder.py ../shared/data/sartorius/annotations.json --members neurons PATH

Every network looks once at every image in every view, at the lowest score; what it found is kept in
a folder, so that each rung costs only its fusion and filters. The factor in time of a rung is that
of the looks that it needs, as measured while they were made. Figures are competition mAP (one to
one matching) on the chosen split, thresholds as in the cards; where something is learnt from the
split itself (second level, tuned thresholds) figures are of folds that it was not learnt on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import torch

from napari_sartorius.evaluation.competition import competition_score
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.ensemble_segmenter import EnsembleSegmenter
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.images import planes, read_image
from napari_sartorius.nn.detector import Detections, DetectLimits
from napari_sartorius.postprocess.thresholds import majority_category
from napari_sartorius.training.rescoring.config import RescoreConfig
from napari_sartorius.training.rescoring.fitting import teach_rescorer
from napari_sartorius.training.tuning.config import TuningConfig
from napari_sartorius.training.tuning.tuning import tune
from napari_sartorius.zoo.bundle import ModelBundle
from napari_sartorius.zoo.catalogue import find_bundle
from napari_sartorius.zoo.combine import ensemble_card
from napari_sartorius.zoo.ensemble_bundle import EnsembleBundle
from napari_sartorius.zoo.ensemble_options import EnsembleOptions, fusion_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_sartorius.core.instances import Instances
    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.zoo.bundle import AnyBundle

LOWEST = 0.03
LATE = (
    "mean_of_looks",
    "weighted_boxes",
    "weighted_segments",
    "weighted_masks",
    "mask_clusters",
)
FILTERS: dict[str, list[dict[str, Any]]] = {
    "largest part and filled holes": [{"filter": "largest_component"}, {"filter": "fill_holes"}],
    "major axis of 11 px at least": [{"filter": "shape", "feature": "major_axis", "minimum": 11.0}],
    "hidden by at most a half": [{"filter": "overlapped", "most": 0.5}],
}
FLIPS = ("identity", "horizontal", "vertical", "both")


class Remembering:
    """A network whose finds are kept in a folder, by the pixels that it looked at.

    Asked for confident objects only, it leaves out the others of what it found at the lowest
    score: suppression goes from the best down, so that is what it would have found.
    """

    def __init__(self, bundle: ModelBundle, folder: Path) -> None:
        self._bundle = bundle
        self._network: Any = None
        self._folder = folder / f"{bundle.card.name}-{bundle.card.sha256[:12]}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self.size_divisibility = 32
        self.seconds: list[float] = []

    def to(self, *_: Any, **__: Any) -> Remembering:
        """Stay where it is."""
        return self

    def eval(self) -> Remembering:
        """Be as it is."""
        return self

    def detect(
        self, batch: torch.Tensor, limits: DetectLimits, sizes: list[tuple[int, int]]
    ) -> list[Detections]:
        """What was found in each image, now or earlier."""
        return [self._one(batch[i : i + 1], limits, sizes[i]) for i in range(len(batch))]

    def _one(self, image: torch.Tensor, limits: DetectLimits, size: tuple[int, int]) -> Detections:
        key = hashlib.sha256(image.contiguous().numpy().tobytes()).hexdigest()[:24]
        path = self._folder / f"{key}-{limits.nms:g}.npz"
        if not path.exists():
            self._look(image, limits, size, path)
        with np.load(path) as kept:
            values = {name: kept[name] for name in kept.files}
        self.seconds.append(float(values.pop("seconds")))
        keep = np.flatnonzero(values["scores"] > limits.score)
        tensors = {n: torch.from_numpy(v[keep].astype(v.dtype)) for n, v in values.items()}
        return Detections(
            tensors["boxes"], tensors["scores"], tensors["labels"],
            tensors["mask_probs"].float() / 255, capped=False,
        )  # fmt: skip

    def _look(
        self, image: torch.Tensor, limits: DetectLimits, size: tuple[int, int], path: Path
    ) -> None:
        if self._network is None:
            self._network = self._bundle.load_network("cpu", for_inference=True)
        start = time.process_time()
        with torch.inference_mode():
            (found,) = self._network.detect(image, replace(limits, score=LOWEST), [size])
        host = found.on_host()
        np.savez(
            path,
            boxes=host.boxes,
            scores=host.scores,
            labels=host.labels,
            mask_probs=(host.mask_probs * 255).round().astype(np.uint8),
            seconds=time.process_time() - start,
        )


class Ladder:
    """Images, truth, and networks that remember."""

    def __init__(self, data: Path, split: str, members: Sequence[str], folder: Path) -> None:
        self.truth: CocoDataset = read_coco(data).split(split)
        self.names = self.truth.category_names
        self.bundles = [find_bundle(name) for name in members]
        self.networks = {b.card.name: Remembering(b, folder) for b in self.bundles}  # type: ignore[arg-type]
        folder_of = data.parent / "images"
        self.images = {
            record.id: next(planes(read_image(_file(folder_of, record.file_name)), "auto"))[1]
            for record in self.truth.images
        }

    def look(self, views: Sequence[str]) -> None:
        """Make every look of every network ahead."""
        for bundle in self.bundles:
            card = bundle.card.with_changes(views={"best": tuple(views)})
            segmenter = self._single(replace(bundle, card=card), "best")  # type: ignore[arg-type]
            for number, image in enumerate(self.images.values()):
                segmenter.segment(image)
                print(card.name, number + 1, "of", len(self.images), flush=True)

    def _single(self, bundle: ModelBundle, preset: str) -> Segmenter:
        config = SegmentConfig(preset=preset, device="cpu", precision="float32", rescore=False)
        return Segmenter(bundle, config, self.networks[bundle.card.name])  # type: ignore[arg-type]

    def single(self, number: int, views: Sequence[str], **changes: Any) -> dict[str, float]:
        """One model in these views."""
        bundle = self.bundles[number]
        card = bundle.card.with_changes(views={"best": tuple(views)}, **changes)
        segmenter = self._single(replace(bundle, card=card), "best")  # type: ignore[arg-type]
        return self._measured(lambda image: segmenter.segment(image).instances)

    def ensemble(
        self, views: Sequence[str], strategy: str, options: dict[str, Any] | None = None
    ) -> dict[str, float]:
        """All models in these views, fused."""
        wish = EnsembleOptions(fusion_of(strategy, options), views=tuple(views))
        card = ensemble_card(self.bundles, [1.0] * len(self.bundles), "ladder", wish)  # type: ignore[arg-type]
        config = SegmentConfig(preset="best", device="cpu", precision="float32", rescore=False)
        segmenter = EnsembleSegmenter(EnsembleBundle(card, Path()), config, self.networks)  # type: ignore[arg-type]
        return self._measured(lambda image: segmenter.segment(image).instances)

    def learnt(self, best: AnyBundle | None) -> Iterator[tuple[str, dict[str, float]]]:
        """Second level and thresholds that are learnt on parts of the images, told on the rest."""
        for bundle in (self.bundles[0], *([best] if best is not None else [])):
            networks: Any = self.networks
            one = networks[bundle.card.name] if isinstance(bundle, ModelBundle) else networks
            preset = "balanced" if isinstance(bundle, ModelBundle) else "best"
            with mock.patch.object(ModelBundle, "load_network", self._known_network()):
                config = RescoreConfig(preset=preset)
                taught = teach_rescorer(bundle, self.truth, config).figures
            yield (
                f"{bundle.card.name}, {preset}, second level in 5 folds",
                taught.after[config.rank],
            )
            figures = tune(bundle, self.truth, TuningConfig(preset=preset), network=one).figures
            yield f"{bundle.card.name}, {preset}, before tuning", figures.before
            yield f"{bundle.card.name}, {preset}, tuned in 5 folds", figures.after

    def _known_network(self) -> Callable[..., Remembering]:
        """In place of loading a network."""
        networks = self.networks

        def load(bundle: ModelBundle, *_: Any, **__: Any) -> Remembering:
            return networks[bundle.card.name]

        return load

    def _measured(self, segment: Callable[[NDArray[Any]], Instances]) -> dict[str, float]:
        for one in self.networks.values():
            one.seconds.clear()
        scores: dict[str, list[float]] = {name: [] for name in self.names}
        for record in self.truth.images:
            truth = self.truth.instances[record.id]
            category = majority_category(truth)
            if category is None:
                continue
            found = segment(self.images[record.id])
            scores[self.names[category]].append(competition_score(truth, found).score)
        result = {name: float(np.mean(values)) for name, values in scores.items() if values}
        result["all"] = float(np.mean([v for values in scores.values() for v in values]))
        result["seconds"] = sum(sum(one.seconds) for one in self.networks.values())
        return result


def _file(folder: Path, name: str) -> Path:
    return next(path for path in (folder / name, folder / Path(name).name) if path.exists())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--members", nargs="+", default=["neurons"])
    parser.add_argument("--ensemble", help="ensemble bundle of these members")
    parser.add_argument("--memory", type=Path, default=Path("runs/ladder"))
    parser.add_argument("--look-only", action="store_true")
    parser.add_argument("--views", type=int, default=4, help="most views: 1, 2 or 4")
    arguments = parser.parse_args()
    ladder = Ladder(arguments.data, arguments.split, arguments.members, arguments.memory)
    if arguments.look_only:
        ladder.look(FLIPS[: arguments.views])
        return
    rows: list[tuple[str, dict[str, float]]] = []

    def row(title: str, figures: dict[str, float]) -> None:
        rows.append((title, figures))
        print(json.dumps({"row": title, **figures}), flush=True)

    most = FLIPS[: arguments.views]
    several = [FLIPS[:n] for n in (1, 2, 4) if n <= len(most)]
    for number, bundle in enumerate(ladder.bundles):
        for views in several:
            row(f"{bundle.card.name}, views: {len(views)}", ladder.single(number, views))
    for title, filters in FILTERS.items():
        row(f"first model, {title}", ladder.single(0, most, filters=filters))
    if len(ladder.bundles) > 1:
        for strategy in LATE:
            for views in several:
                figures = ladder.ensemble(views, strategy)
                row(f"all models, {strategy}, views: {len(views)}", figures)
    best = find_bundle(arguments.ensemble) if arguments.ensemble else None
    for title, figures in ladder.learnt(best):
        row(title, figures)
    base = rows[0][1]["seconds"]
    for title, figures in rows:
        print(
            f"| {title} | "
            + " | ".join(f"{figures[n]:.4f}" for n in [*ladder.names, "all"] if n in figures)
            + f" | {figures.get('seconds', 0.0) / base:.1f} |"
        )


if __name__ == "__main__":
    main()
