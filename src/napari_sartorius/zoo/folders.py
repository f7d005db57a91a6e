"""Where models are on this computer: in the package and in the user's folder."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path

SHIPPED = Path(__file__).parent / "bundled"
CARD_FILE = "model.json"


def user_models_folder() -> Path:
    """Where a user's models live; the variable SARTORIUS_MODELS moves it."""
    chosen = os.environ.get("SARTORIUS_MODELS")
    return Path(chosen) if chosen else user_data_path("napari-sartorius") / "models"


def candidates(folder: Path | None) -> list[Path]:
    """Folders and zip files in a folder that may be models, by name; none without a folder."""
    if folder is None or not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        # a dot begins the name of what an interrupted import left behind
        if not path.name.startswith(".") and ((path / CARD_FILE).is_file() or path.suffix == ".zip")
    ]
