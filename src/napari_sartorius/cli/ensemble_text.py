"""What the command line says of presets, their cost, and of ensembles."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sartorius.zoo.card import ModelCard
    from napari_sartorius.zoo.ensemble_card import EnsembleCard, PassCard

_PRESETS = ("fast", "balanced", "best")


def cost_line(card: ModelCard | EnsembleCard, preset: str) -> str:
    """What a run will cost, before it starts."""
    from napari_sartorius.inference.cost import preset_cost

    return f"{preset.capitalize()} with {card.name}: {preset_cost(card, preset).sentence}."


def preset_lines(card: ModelCard | EnsembleCard) -> list[str]:
    """What each preset does and costs."""
    from napari_sartorius.inference.cost import preset_cost

    return [
        f"{preset.capitalize() + ':':<15} {preset_cost(card, preset).sentence}"
        for preset in _PRESETS
    ]


def ensemble_lines(card: EnsembleCard) -> list[str]:
    """Members, passes and how the cell type of an image is decided."""
    lines = ["", "Members:"]
    lines += [
        f"  - {member.card.name}: {member.card.title} ({member.card.licence})"
        for member in card.members
    ]
    lines += ["", "Passes of Best:", *(f"  - {_pass_text(one)}" for one in card.passes)]
    rule = card.cell_type
    decided = {
        "classifier": f"decided by {rule.member}",
        "majority": "decided by the majority of objects",
        "fixed": f"always {rule.category}",
        "none": "several in one image",
    }[rule.by]
    return [*lines, "", f"Cell type:      {decided}"]


def _pass_text(one: PassCard) -> str:
    members = ", ".join(
        member.name if member.weight == 1 else f"{member.name} (weight {member.weight:g})"
        for member in one.members
    )
    images = "all images" if one.cell_types is None else f"images of {', '.join(one.cell_types)}"
    return f"{images}: {members}; {', '.join(one.views)}; {one.fusion.strategy}"
