"""The documentation says what the code and the cards say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]


def test_model_pages_and_readme_table_are_what_the_cards_say():
    run = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "model_pages.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, f"run scripts/model_pages.py; {run.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert page.relative_to(ROOT / "docs").as_posix() in navigation


def test_architecture_names_every_room():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for room in (ROOT / "src" / "napari_sartorius").iterdir():
        if (room / "__init__.py").is_file():
            assert f"`{room.name}/`" in text


def test_every_command_of_the_guide_exists():
    from typer.main import get_command

    from napari_sartorius.cli.main import app

    known = set(get_command(app).commands)
    for page in PAGES:
        for verb in re.findall(r"^napari-sartorius (\w+)", page.read_text(encoding="utf-8"), re.M):
            assert verb in known, f"{page.name} names {verb!r}"


def test_networks_and_filters_of_the_pages_are_valid():
    from napari_sartorius.nn.config.architecture import read_architecture
    from napari_sartorius.postprocess.filter_config import read_filters

    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    blocks = [json.loads(one) for one in re.findall(r"```json\n({.*?)```", text, re.S)]
    networks = [read_architecture(one) for one in blocks if "family" in one]
    assert {network.family for network in networks} >= {"htc", "solov2", "mask_rcnn"}
    filters = [json.loads(one) for one in re.findall(r"`(\{\"filter\".*?\})`", text)]
    assert len(read_filters(filters)) == len(filters) > 5
