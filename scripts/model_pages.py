"""Writes the model pages of the documentation, and the README's table, from the models' cards.

    python scripts/model_pages.py           write
    python scripts/model_pages.py --check   exit 1 when a page is not what its card says

The card (``model.json``) is the one place where a model's figures stand.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sartorius.zoo.bundle import ModelBundle
from napari_sartorius.zoo.wording import wording

if TYPE_CHECKING:
    from napari_sartorius.zoo.card import ModelCard

ROOT = Path(__file__).resolve().parents[1]
BUNDLED = ROOT / "src" / "napari_sartorius" / "zoo" / "bundled"
START, END = "<!-- models: written by scripts/model_pages.py -->", "<!-- models: end -->"


def page(card: ModelCard, weights_bytes: int) -> str:
    """One model as a page of Markdown."""
    lines = [f"# {card.title}", "", f"`{card.name}`", "", card.description, ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {label} | {value} |" for label, value in _facts(card, weights_bytes)]
    lines += [
        "",
        "## Categories",
        "",
        "| category | what | score from | mask from |",
        "|---|---|--:|--:|",
    ]
    for category in card.categories:
        limits = card.thresholds_of(category.name)
        lines.append(
            f"| `{category.name}` | {category.description} | {limits.score:g} | {limits.mask:g} |"
        )
    lines += ["", "## Figures", ""]
    if card.metrics:
        lines += ["| measure | value |", "|---|--:|"]
        lines += [f"| {wording(name)} | {value:.3f} |" for name, value in card.metrics.items()]
    else:
        lines.append("None measured yet.")
    if card.metrics_command:
        lines += ["", "Reproduce them with", "", "```sh", card.metrics_command, "```"]
    lines += ["", "## Training", "", card.training_data, "", card.schedule]
    lines += ["", "## Known failures", ""]
    lines += [f"- {failure}" for failure in card.known_failures] or ["None recorded."]
    lines += ["", "## Licence and citation", "", card.licence, "", card.citation]
    return "\n".join(lines).rstrip() + "\n"


def _facts(card: ModelCard, weights_bytes: int) -> list[tuple[str, str]]:
    pixel = f"{card.pixel_size:g} µm" if card.pixel_size else "unknown"
    return [
        ("Cell diameter it expects", f"{card.cell_diameter:g} pixels"),
        ("Pixel size of its training images", pixel),
        ("Input", "colour" if card.input_channels == 3 else "grey"),
        ("Size", f"{weights_bytes / 1e6:.1f} MB"),
        ("Parent", f"`{card.parent}`" if card.parent else "trained from scratch"),
        ("Checksum of the weights", f"`sha256:{card.sha256[:16]}…`"),
    ]


def readme_table(cards: list[ModelCard]) -> str:
    """The models as one table, with the figures of their cards."""
    lines = ["| model | finds | figures on held-out images | licence |", "|---|---|---|---|"]
    for card in cards:
        finds = ", ".join(card.category_names)
        figures = "<br>".join(f"{wording(k)} {value:.3f}" for k, value in card.metrics.items())
        licence = card.licence.split(". ")[0].rstrip(".")
        lines.append(f"| `{card.name}` | {finds} | {figures or 'not measured yet'} | {licence} |")
    return "\n".join(lines)


def pages() -> dict[Path, str]:
    """Every file this script owns (the README in part) with what it should hold."""
    bundles = [ModelBundle.open(path.parent) for path in sorted(BUNDLED.glob("*/model.json"))]
    cards = [bundle.card for bundle in bundles]
    written = {
        ROOT / "docs" / "models" / f"{bundle.card.name}.md": page(
            bundle.card, (BUNDLED / bundle.card.name / "weights.safetensors").stat().st_size
        )
        for bundle in bundles
    }
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    written[readme] = f"{before}{START}\n{readme_table(cards)}\n{END}{after}"
    return written


def main() -> int:
    """Write or check; the exit status says whether something was out of date."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = [
        path
        for path, text in pages().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if not check:
        for path in stale:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages()[path], encoding="utf-8")
        return 0
    for path in stale:
        sys.stderr.write(f"{path.relative_to(ROOT)} is not what the model's card says\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
