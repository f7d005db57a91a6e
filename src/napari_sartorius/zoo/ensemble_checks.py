"""Whether the parts of an ensemble fit together; every fault is one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sartorius.ensemble.proposal_counts import CountRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_sartorius.zoo.card import ModelCard
    from napari_sartorius.zoo.ensemble_card import CellTypeRule, EnsembleCard, PassCard


def check_ensemble(card: EnsembleCard) -> None:
    """Make sure that members, passes, presets and the rule for cell types fit.

    Raises
    ------
    ValueError
        One sentence on the first fault.
    """
    names = card.member_names
    if len(set(names)) != len(names):
        raise ValueError("two members have the same name")
    if all(member.card.is_classifier for member in card.members):
        raise ValueError("an ensemble needs a member that finds objects")
    for member in card.members:
        check_categories(member.card, card.category_names, f"the ensemble {card.name}")
    for one in card.passes:
        _check_lookers(card, one.member_names)
        if one.is_stage_by_stage:
            check_joinable([card.member(name).card for name in one.member_names])
    for preset in card.presets.values():
        _check_lookers(card, preset.members or ())
    _check_passes(card)
    _check_rule(card, card.cell_type)


def check_categories(member: ModelCard, names: list[str], whose: str) -> None:
    """Make sure that a member has these categories, in whatever order.

    Raises
    ------
    ValueError
        When one is missing or there is another.
    """
    own = set(member.category_names)
    if own != set(names):
        raise ValueError(
            f"{member.name} knows {', '.join(member.category_names)}, but {whose} has "
            f"{', '.join(names)}; members of an ensemble need categories of the same names"
        )


def check_joinable(cards: Sequence[ModelCard]) -> None:
    """Make sure that the input of networks joined stage by stage can be made of the first one's.

    Other scales, means and deviations are no obstacle, nor are grey and colour.

    Raises
    ------
    ValueError
        Naming the two models and what differs.
    """
    lead = cards[0]
    for card in cards[1:]:
        difference = _difference(lead, card)
        if difference:
            raise ValueError(
                f"{lead.name} and {card.name} {difference}, so they cannot be joined stage by "
                "stage; choose a strategy that fuses finished objects"
            )


def _difference(one: ModelCard, other: ModelCard) -> str:
    """What keeps the input of `other` from being made of that of `one`, in words."""
    a, b = one.normalisation, other.normalisation
    if one.category_names != other.category_names:
        return "have their categories in different orders"
    if a.method != b.method or (a.method == "percentile" and (a.low, a.high) != (b.low, b.high)):
        return "normalise grey levels in different ways"
    if a.channel_order != b.channel_order and 3 in (one.input_channels, other.input_channels):
        return "read colours in different orders"
    return ""


def _check_lookers(card: EnsembleCard, names: Iterable[str]) -> None:
    for name in names:
        if name not in card.member_names:
            raise ValueError(f"there is no member {name}; members: {', '.join(card.member_names)}")
        if card.member(name).card.is_classifier:
            raise ValueError(
                f"{name} tells which cell type an image shows and finds no objects, so it cannot "
                "take part in a pass"
            )


def _check_passes(card: EnsembleCard) -> None:
    if sum(one.cell_types is None for one in card.passes) > 1:
        raise ValueError("only one pass can be for all images; name the cell types of the others")
    seen: set[str] = set()
    for one in card.passes:
        for cell_type in one.cell_types or ():
            if cell_type not in card.category_names:
                raise ValueError(f"a pass is for the unknown cell type {cell_type}")
            if cell_type in seen:
                raise ValueError(f"two passes are for {cell_type}; one image has one pass")
            seen.add(cell_type)


def _check_rule(card: EnsembleCard, rule: CellTypeRule) -> None:
    general = next((one for one in card.passes if one.cell_types is None), None)
    if rule.by == "classifier":
        if rule.member not in card.member_names or not card.member(rule.member).card.is_classifier:
            raise ValueError(f"the cell type is decided by {rule.member}, which is no classifier")
    elif rule.by == "fixed":
        if rule.category not in card.category_names:
            raise ValueError(f"the fixed cell type {rule.category} is no category")
    else:
        _check_general(card, rule, general)
    if general is None:
        of = [t for one in card.passes for t in one.cell_types or ()]
        possible = [rule.category] if rule.by == "fixed" else card.category_names
        without = [str(name) for name in possible if name not in of]
        if without:
            raise ValueError(f"no pass is for images of {', '.join(without)}")


def _check_general(card: EnsembleCard, rule: CellTypeRule, general: PassCard | None) -> None:
    if general is None:
        raise ValueError(f"cell types decided by {rule.by} need a pass that is for all images")
    if rule.by == "none" and len(card.passes) > 1:
        raise ValueError("passes for cell types need a rule that decides the type of an image")
    if rule.by == "proposal_counts":
        if general.fusion.strategy != "stage_means":
            raise ValueError(
                "cell types decided by proposal_counts need proposals of all models together: the "
                f"pass for all images must use stage_means, not {general.fusion.strategy}"
            )
        told = (rule.counts or CountRule()).cell_types
        unknown = [name for name in told if name not in card.category_names]
        if unknown:
            raise ValueError(f"proposal_counts tells the unknown cell type {unknown[0]}")
