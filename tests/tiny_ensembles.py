"""Cards of members and ensembles for detectors that need no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.nn.config import ImageClassifierConfig
from napari_sartorius.zoo import CategoryCard, ModelCard, Thresholds
from napari_sartorius.zoo.ensemble_bundle import EnsembleBundle
from napari_sartorius.zoo.ensemble_card import EnsembleCard, MemberCard, PassCard, PassMember
from tiny_models import tiny_card

DIM, BRIGHT = "dim", "bright"


def categories(*names: str) -> tuple[CategoryCard, ...]:
    """Categories of these names."""
    return tuple(CategoryCard(name=name, colour="#e69f00") for name in names)


def member_card(name: str, **changes: Any) -> ModelCard:
    """A model that sees pixels as they are and finds "dim" and "bright" discs."""
    limits = Thresholds(score=0.3, mask=0.5, nms=0.5, min_size=5)
    facts: dict[str, Any] = {
        "name": name,
        "title": f"The model {name}",
        "categories": categories(DIM, BRIGHT),
        "cell_diameter": 20.0,
        "normalisation": Normalisation(method="fixed", mean=0.0, std=1.0),
        "thresholds": {DIM: limits, BRIGHT: limits},
        "sha256": "0" * 64,
    }
    return tiny_card(**(facts | changes))


def classifier_card(name: str, **changes: Any) -> ModelCard:
    """A model that tells "dim" from "bright" images."""
    return member_card(name, architecture=ImageClassifierConfig(num_classes=2), **changes)


def one_pass(*names: str, **changes: Any) -> PassCard:
    """A pass of these members."""
    return PassCard(members=tuple(PassMember(name=name) for name in names), **changes)


def ensemble_of(*cards: ModelCard, **changes: Any) -> EnsembleCard:
    """Card of an ensemble of these members in one pass, but for what is changed."""
    lookers = [card.name for card in cards if not card.is_classifier]
    lead = next(card for card in cards if not card.is_classifier)
    facts: dict[str, Any] = {
        "name": "together",
        "title": "Together",
        "description": "Several models.",
        "categories": lead.categories,
        "thresholds": lead.thresholds,
        "licence": "CC0-1.0",
        "training_data": "none",
        "members": tuple(MemberCard(card=card) for card in cards),
        "cell_type": {"by": "none"},
    }
    if "passes" not in changes:
        facts["passes"] = (one_pass(*lookers),)
    return EnsembleCard.model_validate(facts | changes)


def bundle_of(card: EnsembleCard) -> EnsembleBundle:
    """A bundle whose weights are never read."""
    return EnsembleBundle(card, Path("nowhere"))
