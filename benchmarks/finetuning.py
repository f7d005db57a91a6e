"""What fine-tuning on a few corrected images gives, in how many minutes, and what is forgotten.

    python benchmarks/finetuning.py ../shared/data run phase-contrast --images 5
    python benchmarks/finetuning.py ../shared/data run smears --images 5 --forget
    python benchmarks/finetuning.py ../shared/data run bt474 --images 1 --old 24
    python benchmarks/finetuning.py ../shared/data all
    python benchmarks/finetuning.py ../shared/data report

``run`` makes one fine-tuning by the recipe Quick on the processor, by the function that the command
line and the dock call, and measures it: mask AP50 on validation images of the new domain and of the
domain that the model comes from, before, after, and at every checkpoint on the way. Minutes are
those of the processor (``time.process_time``), so that what else the machine does changes nothing;
minutes on the wall are told beside. A run that was stopped goes on when it is started again.
``all`` makes the runs of the documentation that are missing, one after the other. ``report`` writes
its table and its pictures from all runs in ``benchmarks/finetuning.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the promise is about the processor

import numpy as np
import torch
from report import machine
from unseen_start import FLUORESCENCE, is_fluorescence

from napari_sartorius.core.categories import Category
from napari_sartorius.core.progress import Monitor
from napari_sartorius.evaluation.coco_ap import coco_average_precision
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.segmenter import Segmenter
from napari_sartorius.io.coco import CocoImage, read_coco, write_coco
from napari_sartorius.training.config import FreezeConfig
from napari_sartorius.training.data import read_annotated
from napari_sartorius.training.finetune import BUDGETS, finetune, finetune_config
from napari_sartorius.zoo import find_single

if TYPE_CHECKING:
    from napari_sartorius.core.instances import Instances
    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.zoo.bundle import ModelBundle

FOLDER = Path(__file__).parent
STORE = FOLDER / "finetuning.json"
RUNS = FOLDER.parent / "runs" / "finetuning"
MAX_DETECTIONS = 1000
# AP looks at objects of all scores; below this one there is hardly one that is right.
LOWEST = 0.05
SEED = 0
# Images that every checkpoint is measured on.
_ON_THE_WAY = 6


@dataclass(frozen=True)
class Domain:
    """What is learnt, from which model, and what must not be forgotten.

    Parameters
    ----------
    title
        For the table.
    start
        Name of the model; ``fluorescence`` is that of `unseen_start.py`.
    data, old
        Folders below the data folder: of the new domain and of the one that the model comes from.
    learn, measure, remember
        Which images are corrected, measure the new domain, measure the old one.
    kind
        What the new cells are called: a category of the model, or one that it lacks.
    most
        Most images that measure each domain, spread evenly.
    """

    title: str
    start: str
    data: str
    old: str
    learn: Callable[[CocoImage], bool]
    measure: Callable[[CocoImage], bool]
    remember: Callable[[CocoImage], bool]
    kind: str
    most: tuple[int, int] = (12, 24)


def _is(split: str, **wanted: str) -> Callable[[CocoImage], bool]:
    fields = {"split": split} | wanted
    return lambda image: all(str(image.extra.get(k)) == v for k, v in fields.items())


def _file(name: str) -> Callable[[CocoImage], bool]:
    return lambda image: name in image.file_name


DOMAINS = {
    "phase-contrast": Domain(
        "cortical neurons in phase contrast",
        "nuclei",
        "sartorius",
        "dsb2018",
        _is("train", cell_type="cort"),
        _is("val", cell_type="cort"),
        _is("val"),
        "nucleus",
    ),
    "smears": Domain(
        "nuclei in grey smears (cluster d)",
        "nuclei",
        "dsb2018",
        "dsb2018",
        _is("train", cluster="d"),
        _is("val", cluster="d"),
        lambda image: image.extra.get("split") == "val" and image.extra.get("cluster") != "d",
        "nucleus",
    ),
    "tissue": Domain(
        "nuclei of stained tissue (cluster b), none seen before",
        "fluorescence",
        "dsb2018",
        "dsb2018",
        _is("train", cluster="b"),
        _is("val", cluster="b"),
        lambda image: image.extra.get("split") == "val" and is_fluorescence(image),
        "nucleus",
    ),
    "bt474": Domain(
        "BT474 cells (LIVECell), called shsy5y",
        "neurons",
        "livecell",
        "sartorius",
        _file("BT474_Phase_C3"),
        _file("BT474_Phase_B3"),
        _is("val"),
        "shsy5y",
        (1, 76),
    ),
    "mcf7": Domain(
        "MCF7 cells (LIVECell), called shsy5y",
        "neurons",
        "livecell",
        "sartorius",
        _file("MCF7_Phase_G4"),
        _file("MCF7_Phase_F4"),
        _is("val"),
        "shsy5y",
        (1, 76),
    ),
}

DOMAINS["bt474-own"] = replace(
    DOMAINS["bt474"], title="BT474 cells (LIVECell), as a kind of their own", kind="BT474"
)
DOMAINS["mcf7-own"] = replace(
    DOMAINS["mcf7"], title="MCF7 cells (LIVECell), as a kind of their own", kind="MCF7"
)

_STARTS = {"fluorescence": FLUORESCENCE}

ALL = (
    ("phase-contrast", 5, True, 0),
    ("tissue", 5, True, 0),
    ("smears", 5, True, 0),
    ("bt474", 1, True, 0),
    ("bt474-own", 1, True, 0),
    ("mcf7", 1, True, 0),
    ("mcf7-own", 1, True, 0),
    ("phase-contrast", 1, True, 0),
    ("phase-contrast", 10, True, 0),
    ("phase-contrast", 2, True, 0),
    ("phase-contrast", 5, False, 0),
    ("tissue", 1, True, 0),
    ("tissue", 10, True, 0),
    ("tissue", 2, True, 0),
    ("bt474", 1, True, 24),
    ("bt474-own", 1, True, 24),
    ("smears", 1, True, 0),
    ("smears", 10, True, 0),
    ("smears", 2, True, 0),
)
"""Name, corrected images, replay, old images besides: what is promised first."""


@dataclass
class Row:
    """One run: AP50 of the new and the old domain, 0..1, and what it took.

    `found` is that of the old domain when cells of all kinds are one; `old_images` are images of
    it that the training was given besides.
    """

    domain: str
    images: int
    cells: int
    replay: bool
    budget: float
    minutes: float = 0.0
    wall_minutes: float = 0.0
    steps: int = 0
    zoom: float = 1.0
    new_weight: float = 1.0
    new: tuple[float, float] = (0.0, 0.0)
    old: tuple[float, float] = (0.0, 0.0)
    found: tuple[float, float] | None = None
    curve: list[tuple[float, float]] = field(default_factory=list)
    machine: str = ""
    old_images: int = 0

    @property
    def key(self) -> str:
        """Name of the run."""
        ending = "" if self.replay else "-forget"
        short = "" if self.budget == BUDGETS["quick"] else f"-{self.budget:.0f}s"
        old = f"-old-{self.old_images}" if self.old_images else ""
        return f"{self.domain}-{self.images}{ending}{old}{short}"


class Snapshots(Monitor):
    """Puts every checkpoint aside with the minutes at which it was written."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._seen = folder, 0
        self._spent = _spent(folder)
        self._began = time.process_time(), time.perf_counter()

    def minutes(self) -> tuple[float, float]:
        """Of the processor and on the wall, those of earlier goes included."""
        now = time.process_time(), time.perf_counter()
        first, second = (
            spent + (end - start) / 60
            for spent, end, start in zip(self._spent, now, self._began, strict=True)
        )
        return first, second

    def progress(self, stage: str, fraction: float) -> None:
        """Look for a new checkpoint."""
        last = self._folder / "last.pt"
        if not last.exists() or (changed := last.stat().st_mtime_ns) == self._seen:
            return
        self._seen = changed
        minutes = self.minutes()
        (self._folder / "spent.json").write_text(json.dumps(minutes))
        shutil.copyfile(last, self._folder / f"at-{minutes[0]:07.3f}.pt")

    def notice(self, message: str) -> None:
        """Print."""
        print(f"[{self.minutes()[0]:.2f} min] {message}", flush=True)


def _spent(folder: Path) -> tuple[float, float]:
    path = folder / "spent.json"
    first, second = json.loads(path.read_text()) if path.is_file() else (0.0, 0.0)
    return float(first), float(second)


def some(dataset: CocoDataset, most: int) -> CocoDataset:
    """At most so many of the images, spread evenly."""
    if len(dataset) <= most:
        return dataset
    chosen = np.linspace(0, len(dataset) - 1, most).round().astype(int)
    kept = {dataset.images[i].id for i in chosen}
    return dataset.select(lambda image: image.id in kept)


def first(dataset: CocoDataset, count: int) -> CocoDataset:
    """`count` images by chance, always the same; those for fewer are among those for more."""
    order = np.random.default_rng(SEED).permutation(len(dataset))[:count]
    kept = {dataset.images[i].id for i in order}
    return dataset.select(lambda image: image.id in kept)


def called(dataset: CocoDataset, names: list[str], kind: str) -> CocoDataset:
    """All cells as one of the model's categories."""
    number = names.index(kind)
    return replace(
        dataset,
        categories=[Category(i + 1, name) for i, name in enumerate(names)],
        instances={
            key: replace(one, categories=np.full_like(one.categories, number))
            for key, one in dataset.instances.items()
        },
    )


def ap50(
    bundle: ModelBundle, dataset: CocoDataset, *, one_kind: bool, network: Any = None
) -> float:
    """Mask AP50 of objects of all scores, images rescaled as the card says."""
    config = SegmentConfig(preset="fast", device="cpu", min_score=LOWEST, rescore=False)
    segmenter = Segmenter(bundle, config, detector=network)

    def told(cells: Instances) -> Instances:
        return replace(cells, categories=np.zeros_like(cells.categories)) if one_kind else cells

    cases = []
    for image in dataset.images:
        found = segmenter.segment(read_annotated(dataset, image)).instances
        cases.append((told(dataset.instances[image.id]), told(found)))
    names = dataset.category_names
    score = coco_average_precision(cases, names, max_detections=MAX_DETECTIONS)
    return round(score.overall.ap50, 4)


def old_training_images(data: Path, domain: Domain, count: int, folder: Path) -> Path:
    """Some images that the start was trained on, as what a user who has them would give."""
    source = data / domain.old
    dataset = read_coco(source / "annotations.json").select(_is("train"))
    chosen = replace(some(dataset, count), info={"image_root": str(source.resolve())})
    path = folder / "old" / "annotations.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_coco(path, chosen)
    return path


def run(
    data: Path, name: str, count: int, *, replay: bool, budget: float, old_images: int = 0
) -> None:
    """One fine-tuning, measured and kept in the store; nothing where it is there already."""
    domain, rows = DOMAINS[name], read_rows()
    start = find_single(str(_STARTS.get(domain.start, domain.start)))
    names = list(start.card.category_names)
    if domain.kind not in names:
        names.append(domain.kind)
    new = called(read_coco(data / domain.data / "annotations.json"), names, domain.kind)
    learn = first(new.select(domain.learn), count)
    measure = some(new.select(domain.measure), domain.most[0])
    old = read_coco(data / domain.old / "annotations.json").select(domain.remember)
    assert old.category_names == start.card.category_names
    old = replace(some(old, domain.most[1]), categories=new.categories)
    row = Row(name, len(learn), learn.object_count, replay, budget, old_images=old_images)
    if any(other.key == row.key for other in rows):
        print(row.key, "is there already")
        return
    folder = RUNS / row.key
    folder.mkdir(parents=True, exist_ok=True)
    config = finetune_config(start.card, names, "quick").model_copy(update={"threads": 1})
    if not replay:
        config = config.model_copy(update={"replay": None, "freeze": FreezeConfig()})
    watch = Snapshots(folder)
    result = finetune(
        start,
        learn,
        folder,
        name="tuned",
        config=config,
        old_data=old_training_images(data, domain, old_images, folder) if old_images else None,
        budget=budget,
        clock=time.process_time,
        monitor=watch,
    )
    row.minutes, row.wall_minutes = (round(m, 2) for m in watch.minutes())
    (folder / "spent.json").unlink(missing_ok=True)
    learnt = result.bundle.card.learnt_from
    assert learnt is not None
    row.steps, row.zoom = result.steps, learnt.zoom
    row.new_weight = learnt.kept.new_weight if learnt.kept else 1.0
    print(row.key, "score on what was kept apart", result.before, result.after, flush=True)

    def both(cells: CocoDataset, one_kind: bool) -> tuple[float, float]:
        before, after = (ap50(one, cells, one_kind=one_kind) for one in (start, result.bundle))
        return before, after

    row.new, row.found = both(measure, True), both(old, True)
    row.old = both(old, False) if len(names) > 1 else row.found
    print(row.key, "new", row.new, "old", row.old, "of any kind", row.found, flush=True)
    row.curve = _curve(folder, start, result.bundle, some(measure, _ON_THE_WAY))
    row.machine = machine()
    STORE.write_text(json.dumps([asdict(one) for one in [*read_rows(), row]], indent=1) + "\n")


def _curve(
    folder: Path, start: ModelBundle, bundle: ModelBundle, measure: CocoDataset
) -> list[tuple[float, float]]:
    """AP50 of every checkpoint, before the choice among them, by minutes of the processor."""
    curve = [(0.0, ap50(start, measure, one_kind=True))]
    for path in sorted(folder.glob("at-*.pt")):
        network = bundle.load_network()
        network.load_state_dict(torch.load(path, weights_only=True)["average"])
        score = ap50(bundle, measure, one_kind=True, network=network)
        curve.append((round(float(path.stem[3:]), 2), score))
        print(folder.name, curve[-1], flush=True)
    return curve


def read_rows() -> list[Row]:
    """All runs so far."""
    return [Row(**one) for one in json.loads(STORE.read_text())] if STORE.is_file() else []


def main() -> None:
    """Run or report, as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with dsb2018, sartorius and livecell")
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("run", help="one fine-tuning")
    one.add_argument("domain", choices=sorted(DOMAINS))
    one.add_argument("--images", type=int, default=5)
    one.add_argument("--budget", type=float, default=BUDGETS["quick"], help="seconds")
    one.add_argument("--forget", action="store_true", help="without replay")
    one.add_argument("--old", type=int, default=0, help="old images that are given besides")
    verbs.add_parser("all", help="every run that is missing")
    verbs.add_parser("report", help="table and pictures")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.verb == "run":
        run(
            chosen.data,
            chosen.domain,
            chosen.images,
            replay=not chosen.forget,
            budget=chosen.budget,
            old_images=chosen.old,
        )
    elif chosen.verb == "all":
        for name, count, replay, old in ALL:
            run(chosen.data, name, count, replay=replay, budget=BUDGETS["quick"], old_images=old)
    else:
        from finetuning_report import write_report

        write_report(read_rows(), DOMAINS)


if __name__ == "__main__":
    main()
