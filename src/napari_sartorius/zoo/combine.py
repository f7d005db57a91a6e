"""Makes an ensemble of models that are there."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Monitor
from napari_sartorius.core.wording import agree, plural
from napari_sartorius.io.atomic import atomic_folder, remove_leftovers, write_bytes
from napari_sartorius.zoo.bundle import WEIGHTS_FILE, ModelBundle, single
from napari_sartorius.zoo.card import Thresholds
from napari_sartorius.zoo.catalogue import find_bundle
from napari_sartorius.zoo.cost import measure_cost
from napari_sartorius.zoo.download.space import require_space
from napari_sartorius.zoo.ensemble_bundle import EnsembleBundle, member_folder
from napari_sartorius.zoo.ensemble_card import (
    CellTypeRule,
    EnsembleCard,
    MemberCard,
    PassCard,
    PassMember,
    PresetCard,
    PresetName,
)
from napari_sartorius.zoo.ensemble_checks import check_categories
from napari_sartorius.zoo.ensemble_options import EnsembleOptions
from napari_sartorius.zoo.first_problem import first_problem
from napari_sartorius.zoo.folders import user_models_folder
from napari_sartorius.zoo.licence_rank import combined_licence
from napari_sartorius.zoo.manage import check_free_name, renamed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_sartorius.zoo.card import ModelCard


def combine(
    names: Sequence[str],
    name: str,
    options: EnsembleOptions | None = None,
    *,
    monitor: Monitor | None = None,
) -> EnsembleBundle:
    """Add an ensemble of installed models; it holds copies of their weights. Imports torch.

    Best makes one pass of all members, Balanced is the first member's own balanced preset, Fast
    one look of the first member. Thresholds are the means of the members' ones.

    Parameters
    ----------
    names
        Names or paths of the members; the first one's scale and order of categories count.
    name
        Name of the ensemble.
    options
        Fusion, weights, views and classifier.
    monitor
        Hears of progress and may cancel.

    Raises
    ------
    UserError
        When there are no members, one is unknown, damaged, named twice, an ensemble, a classifier
        or has other categories, the options do not fit, or the name is taken.
    """
    options, monitor = options or EnsembleOptions(), monitor or Monitor()
    members = find_members(names)
    check_free_name(name)
    classifier = _classifier(options.classifier, members[0].card)
    remove_leftovers(user_models_folder(), older_than=24 * 3600.0)
    place = user_models_folder() / name
    return combine_bundles(members, place, options, classifier=classifier, monitor=monitor)


def combine_bundles(
    members: Sequence[ModelBundle],
    place: Path,
    options: EnsembleOptions | None = None,
    *,
    name: str | None = None,
    classifier: ModelBundle | None = None,
    measure: bool = True,
    monitor: Monitor | None = None,
) -> EnsembleBundle:
    """Write an ensemble of models into a folder. Imports torch.

    Parameters
    ----------
    members
        The first one's scale and order of categories count.
    place
        The folder to make; it may exist when it is empty.
    options
        Fusion, weights and views; its `classifier` is not looked at.
    name
        Of the ensemble; that of the folder when None.
    classifier
        Decides the cell type of an image; the majority of the objects where there is none.
    measure
        False takes all members for equally slow, which saves a run of each.
    monitor
        Hears of progress and may cancel.

    Raises
    ------
    UserError
        When a member is damaged, or names, categories or options do not fit.
    """
    options, monitor = options or EnsembleOptions(), monitor or Monitor()
    for member in members:
        with _as_sentence():
            check_categories(member.card, members[0].card.category_names, members[0].card.name)
    if classifier is not None:
        options = replace(options, classifier=classifier.card.name)
    everyone = [*members, *([classifier] if classifier else [])]
    monitor.progress("measuring the members", 0.0)
    # Damage is found before anything is written, and costs are those of whole networks.
    costs = []
    for number, member in enumerate(everyone):
        monitor.check()
        costs.append(measure_cost(member) if measure else 1.0)
        monitor.progress("measuring the members", 0.5 * (number + 1) / len(everyone))
    card = ensemble_card(everyone, costs, name or place.name, options)
    return _write(card, everyone, place, monitor)


def find_members(names: Sequence[str]) -> list[ModelBundle]:
    """The models of these names that can take part in a pass.

    Raises
    ------
    UserError
        As in `combine`.
    """
    if not names:
        raise UserError("an ensemble needs members: name two or more models")
    found = [find_bundle(name) for name in names]
    for bundle in found:
        if isinstance(bundle, EnsembleBundle):
            inside = ", ".join(bundle.card.member_names)
            raise UserError(
                f"{bundle.card.name} is an ensemble itself; name the models that it was made of "
                f"({inside})"
            )
    members = [single(bundle) for bundle in found]
    twice = [name for name, count in Counter(m.card.name for m in members).items() if count > 1]
    if twice:
        raise UserError(f"{twice[0]} is named twice; give it a larger weight instead")
    lead = members[0].card
    for member in members:
        if member.card.is_classifier:
            raise UserError(
                f"{member.card.name} tells which cell type an image shows and finds no objects; "
                "give it as the classifier, not as a member"
            )
        with _as_sentence():
            check_categories(member.card, lead.category_names, lead.name)
    return members


def ensemble_card(
    members: Sequence[ModelBundle], costs: Sequence[float], name: str, options: EnsembleOptions
) -> EnsembleCard:
    """The card of an ensemble of these models, the classifier last if there is one.

    Raises
    ------
    UserError
        When the options do not fit.
    """
    cards = [member.card for member in members]
    lookers = [card for card in cards if not card.is_classifier]
    lead = lookers[0]
    weights = options.weights or (1.0,) * len(lookers)
    if len(weights) != len(lookers):
        raise UserError(
            f"there {agree(len(weights), 'is', 'are')} {plural(len(weights), 'weight')} for "
            f"{plural(len(lookers), 'member')}; give one for each"
        )
    several = any(card.one_category_per_image for card in lookers)
    rule: dict[str, Any] = {"by": "majority" if several else "none"}
    if options.classifier is not None:
        rule = {"by": "classifier", "member": cards[-1].name}
    names = ", ".join(card.name for card in lookers)
    with _as_sentence():
        return EnsembleCard(
            name=name,
            title=options.title or f"Ensemble of {' + '.join(c.name for c in lookers)}",
            description=f"{plural(len(lookers), 'model')} {agree(len(lookers), 'looks', 'look')} "
            "at each image, and all finds become one "
            f"({options.fusion.strategy.replace('_', ' ')}): {names}.",
            categories=lead.categories,
            thresholds={one: _mean(lookers, one) for one in lead.category_names},
            filters=lead.filters,
            licence=combined_licence([(card.name, card.licence) for card in cards]),
            citation=" ".join(dict.fromkeys(card.citation for card in cards if card.citation)),
            training_data=" ".join(dict.fromkeys(card.training_data for card in cards)),
            known_failures=tuple(dict.fromkeys(f for card in cards for f in card.known_failures)),
            members=tuple(
                # A second level judges what one model finds, not what several agree on.
                MemberCard(card=card.with_changes(rescorer=None), cost=cost / costs[0])
                for card, cost in zip(cards, costs, strict=True)
            ),
            passes=(
                PassCard(
                    members=tuple(
                        PassMember(name=card.name, weight=weight)
                        for card, weight in zip(lookers, weights, strict=True)
                    ),
                    fusion=options.fusion,
                    views=options.views or lead.views.get("best") or ("identity",),
                ),
            ),
            presets=_own_presets(lead),
            cell_type=CellTypeRule(**rule),
        )


def _own_presets(lead: ModelCard) -> dict[PresetName, PresetCard]:
    """Fast and Balanced are those of the lead, with its own thresholds."""
    own = {one: lead.thresholds_of(one) for one in lead.category_names}
    views = lead.views.get("balanced") or ("identity",)
    return {
        "fast": PresetCard(members=(lead.name,), views=("identity",), thresholds=own),
        "balanced": PresetCard(members=(lead.name,), views=views, thresholds=own),
        "best": PresetCard(),
    }


def _mean(cards: Sequence[ModelCard], category: str) -> Thresholds:
    """Mean of the members' thresholds; sizes are brought to the scale of the first."""
    own = [card.thresholds_of(category) for card in cards]
    lead = cards[0].cell_diameter
    sizes = [
        t.min_size * (lead / card.cell_diameter) ** 2 for t, card in zip(own, cards, strict=True)
    ]
    return Thresholds(
        score=_average([t.score for t in own]),
        mask=_average([t.mask for t in own]),
        nms=_average([t.nms for t in own]),
        min_size=round(_average(sizes)),
        vote=_average([t.vote for t in own]),
    )


def _average(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 6)


def _classifier(name: str | None, lead: ModelCard) -> ModelBundle | None:
    if name is None:
        return None
    bundle = single(find_bundle(name))
    if not bundle.card.is_classifier:
        raise UserError(
            f"{name} finds objects and is no classifier; leave it out to let the majority of "
            "objects decide the cell type"
        )
    with _as_sentence():
        check_categories(bundle.card, lead.category_names, lead.name)
    return bundle


def _write(
    card: EnsembleCard, members: Sequence[ModelBundle], place: Path, monitor: Monitor
) -> EnsembleBundle:
    with atomic_folder(place) as folder:
        for number, member in enumerate(members):
            monitor.check()
            data = member.read_weights()
            require_space(place, len(data))
            target = folder / member_folder(member.card.name)
            target.mkdir(parents=True)
            write_bytes(target / WEIGHTS_FILE, data)
            share = 0.5 + 0.5 * (number + 1) / len(members)
            monitor.progress(f"copying {member.card.name}", share)
        renamed(EnsembleBundle(card, folder), card.name, folder)
    return EnsembleBundle(card, place)


@contextlib.contextmanager
def _as_sentence() -> Any:
    """Turn a fault of the card into a sentence for the user."""
    try:
        yield
    except ValidationError as error:
        raise UserError(first_problem(error)) from error
    except ValueError as error:
        raise UserError(str(error)) from error
