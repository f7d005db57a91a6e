"""What the list of the Models tab shows: each model with its facts, from wherever they are known.

No Qt in here: rows are plain data, and so are the texts.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_sartorius.core.wording import sentence, some_of
from napari_sartorius.ui.model_card import members_text, metrics_text, size_text
from napari_sartorius.zoo import is_shipped, scan_bundles
from napari_sartorius.zoo.card import ModelCard
from napari_sartorius.zoo.manage import bundle_bytes, why_unusable
from napari_sartorius.zoo.published import PublishedModel, published_models, why_not

if TYPE_CHECKING:
    from napari_sartorius.zoo import AnyBundle, DamagedBundle

HERE = "On this computer"
"""Title of the first section."""

_MANY = 8
_LINK = "#3f87f5"  # can be read on dark and on light ground; Qt's own blue cannot


@dataclass(frozen=True)
class ModelRow:
    """One model of the list.

    Attributes
    ----------
    section
        Title under which it stands.
    name, title
        Identifier, and what people call it.
    line
        The most important facts in a few words.
    description
        A paragraph.
    facts
        Rich text by heading.
    why_not
        One sentence on why it cannot be used; None when it can.
    entry
        Its entry in the catalogue when it can be downloaded.
    can_change
        Whether it can be renamed and deleted.
    is_here
        Whether it is on this computer and readable.
    can_join
        Whether it can be a member of an ensemble.
    categories
        Names of what it finds.
    """

    section: str
    name: str
    title: str
    line: str
    description: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    why_not: str | None = None
    entry: PublishedModel | None = None
    can_change: bool = False
    is_here: bool = False
    can_join: bool = False
    categories: tuple[str, ...] = ()

    def matches(self, words: str) -> bool:
        """Whether all of these words stand somewhere in the row."""
        text = f"{self.section} {self.name} {self.title} {self.line} {self.description}".lower()
        return all(word in text for word in words.lower().split())


def model_rows() -> list[ModelRow]:
    """All models: here and usable, here and damaged, and to download."""
    bundles, damaged = scan_bundles()
    here = {bundle.card.name for bundle in bundles}
    rows = [_row_of_bundle(bundle) for bundle in bundles]
    rows += [_row_of_damaged(one) for one in damaged]
    return rows + [_row_of_entry(entry) for entry in published_models() if entry.name not in here]


def _row_of_bundle(bundle: AnyBundle) -> ModelRow:
    card = bundle.card
    shipped = is_shipped(bundle)
    size = f"{max(bundle_bytes(bundle.path) / 1e6, 1):.0f} MB"
    names = some_of(card.category_names, _MANY)
    reason = why_unusable(bundle)
    origin = "ships with the plugin" if shipped else "added"
    pixel = {} if reason else {"Cells": f"{size_text(card)} in the training images"}
    return ModelRow(
        section=HERE,
        name=card.name,
        title=card.title or card.name,
        line="cannot be used" if reason else f"{origin} · {size} · {names}",
        description=card.description,
        facts={
            "Name": html.escape(card.name),
            "Finds": html.escape(names),
            **pixel,
            "Members": members_text(card),
            "Measured": metrics_text(card.metrics),
            "Licence": _linked(card.licence),
            "Trained on": html.escape(card.training_data),
            "Known failures": html.escape(" ".join(card.known_failures)),
            "Cite": _linked(card.citation),
            "Size": f"{size}, {html.escape(str(bundle.path))}",
        },
        why_not=reason,
        can_change=not shipped,
        is_here=True,
        can_join=reason is None and isinstance(card, ModelCard) and not card.is_classifier,
        categories=tuple(card.category_names),
    )


def _row_of_damaged(broken: DamagedBundle) -> ModelRow:
    return ModelRow(
        section=HERE,
        name=broken.path.name,
        title=broken.path.name,
        line="damaged",
        why_not=sentence(broken.reason),
        can_change=True,
    )


def _row_of_entry(entry: PublishedModel) -> ModelRow:
    reason = why_not(entry)
    licence = entry.licence
    mask = entry.metrics.get("mask AP")
    parts = [f"mask AP {mask:.1f}" if mask is not None else "", licence.spdx or licence.name]
    if entry.megabytes is not None:
        parts.insert(1, f"{entry.megabytes:.0f} MB")
    if reason:
        parts.append("not usable here")
    return ModelRow(
        section=f"{entry.publisher}, to download",
        name=entry.name,
        title=entry.title,
        line=" · ".join(part for part in parts if part),
        description=entry.description,
        facts={
            "Measured": f"{entry.figures_text} on {html.escape(entry.measured_on)}",
            "Licence": (f"{link(licence.url, licence.name)}: {html.escape(licence.summary)}"),
            "Size": html.escape(entry.size_text),
            "Trained on": html.escape(entry.training_data),
            "Cite": _linked(entry.citation),
            "Published": link(entry.page, entry.publisher),
            "Name": html.escape(entry.name),
        },
        why_not=reason,
        entry=entry,
    )


def _linked(text: str) -> str:
    """Rich text in which addresses can be clicked."""
    words = text.split()
    return " ".join(link(w, w) if w.startswith("https://") else html.escape(w) for w in words)


def link(url: str, text: str) -> str:
    """Rich text of a link."""
    return f'<a href="{html.escape(url)}" style="color:{_LINK}">{html.escape(text)}</a>'
