"""The card of a fine-tuned model: that of its start with what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.categories import default_colour
from napari_sartorius.core.wording import plural
from napari_sartorius.postprocess.filter_config import unknown_categories
from napari_sartorius.zoo import CategoryCard, ModelCard, Thresholds
from napari_sartorius.zoo.naming import model_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sartorius.io.coco import CocoDataset
    from napari_sartorius.training.config import TrainConfig
    from napari_sartorius.zoo.learnt_from import LearntFrom

# Zooms closer to 1 than this leave images as they are, as in `inference.rescale`.
_SAME = 0.02


def finetuned_card(
    start: ModelCard,
    name: str,
    dataset: CocoDataset,
    config: TrainConfig,
    learnt_from: LearntFrom,
    thresholds: Mapping[int, float],
    votes: Mapping[int, float],
) -> ModelCard:
    """The card of a model that has learnt.

    Parameters
    ----------
    start
        Card of the model that it was.
    name
        Its own.
    dataset
        What it has learnt from.
    config
        Of the training.
    learnt_from
        For the card.
    thresholds
        Scores by category index that were best for the new cells.
    votes
        By category index, as `new_kind_votes` gives them.
    """
    names = dataset.category_names
    zoom = learnt_from.zoom
    areas = np.concatenate([one.masks.area() for one in dataset.instances.values()])
    diameter = float(np.sqrt(np.median(areas[areas > 0]) * 4 / np.pi))
    count, cells = len(dataset), learnt_from.cells
    changes: dict[str, Any] = {
        "name": model_name(name),
        "title": name,
        "description": f"{start.title}, trained further on {plural(count, 'corrected image')}.",
        "categories": _categories(start, dataset),
        "one_category_per_image": start.one_category_per_image
        and all(len(np.unique(one.categories)) <= 1 for one in dataset.instances.values()),
        "cell_diameter": round(diameter * zoom, 1),
        "image_diameter": None if abs(zoom - 1) < _SAME else round(diameter, 1),
        "input_size": None,
        # The images were seen at the zoom, whatever pixel size their files name.
        "pixel_size": None,
        "architecture": config.architecture.model_dump(mode="json"),
        "thresholds": {
            one: _limits(start, one, thresholds.get(i), votes.get(i)) for i, one in enumerate(names)
        },
        "licence": start.licence,
        "training_data": f"{plural(count, 'corrected image')} with {plural(cells, 'cell')}; "
        f"before that: {start.training_data}",
        "schedule": f"{learnt_from.steps} of {plural(config.steps, 'step')} of "
        f"{plural(config.batch_size, 'crop')}",
        "metrics": {"validation": learnt_from.after["validation"]}
        | (
            {"validation before": learnt_from.before["validation"]}
            if "validation" in learnt_from.before
            else {}
        ),
        "metrics_command": "",
        "known_failures": (),
        "parent": start.name,
        "learnt_from": learnt_from,
        "sha256": "",
        # A second level has judged another network, and filters may speak of other categories.
        "rescorer": None,
        "filters": () if unknown_categories(start.filters, names) else start.filters,
    }
    return start.with_changes(**changes)


def _categories(start: ModelCard, dataset: CocoDataset) -> tuple[CategoryCard, ...]:
    """The start's own as they are; a new one gets another colour where its own is taken."""
    known = {category.name: category for category in start.categories}
    cards = {c.name: known[c.name] for c in dataset.categories if c.name in known}
    for category in dataset.categories:
        if category.name not in cards:
            taken = {card.colour for card in cards.values()}
            colours = (category.colour, *map(default_colour, range(len(taken) + 1)))
            free = next(colour for colour in colours if colour not in taken)
            cards[category.name] = CategoryCard(name=category.name, colour=free)
    return tuple(cards[category.name] for category in dataset.categories)


def _limits(start: ModelCard, name: str, score: float | None, vote: float | None) -> Thresholds:
    """Those of the start with what was found anew; a kind that it lacks has the usual ones."""
    own = start.thresholds_of(name) if name in start.category_names else Thresholds(score=0.5)
    news = {"score": score, "vote": vote}
    return own.model_copy(update={key: one for key, one in news.items() if one is not None})
