"""The folder of a teaching run, as every training has one: settings, curve, figures, and a memory.

Segmenting the images takes nearly all the time. Each one that is done is kept on the disk, so a run
that was stopped goes on where it was.
"""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sartorius.core.instances import Instances
from napari_sartorius.core.masks import CropMasks
from napari_sartorius.io.atomic import atomic_write, write_text
from napari_sartorius.training.rescoring.config import RescoreConfig
from napari_sartorius.training.run_files import CONFIG_FILE, CURVE_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sartorius.postprocess.second_level.rescorer import Rescorer
    from napari_sartorius.training.rescoring.figures import RescoreFigures

    Table = dict[str, NDArray[np.float64]]

SAMPLES_FOLDER = "samples"
FIGURES_FILE = "figures.txt"
_CURVE_POINTS = 50
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, eq=False)
class SeenImage:
    """What a model found in an image before its second level would judge it.

    Attributes
    ----------
    found
        Confident objects, of which doubles are gone.
    table
        Their features.
    area_factor
        Image pixels per network pixel (area).
    cell_type
        As the segmentation decided.
    """

    found: Instances
    table: Table
    area_factor: float
    cell_type: str


@dataclass(eq=False)
class TeachingFolder:
    """Writes and reads what a teaching run leaves behind.

    Parameters
    ----------
    folder
        Of the run; made when it is not there.
    model
        Tells models apart (a checksum): an image is segmented anew for another one.
    config
        Of the run; images that were segmented in another way are, too.

    Attributes
    ----------
    recalled
        How many images were not segmented again.
    """

    folder: Path
    model: str
    config: RescoreConfig
    recalled: int = field(default=0, init=False)
    _errors: dict[int, list[NDArray[np.float64]]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        (self.folder / SAMPLES_FOLDER).mkdir(parents=True, exist_ok=True)
        write_text(self.folder / CONFIG_FILE, self.config.model_dump_json(indent=1))

    def recall(self, image: NDArray[Any]) -> SeenImage | None:
        """What was found in an image; None when it was not segmented yet."""
        try:
            with (
                self._path(image).open("rb") as stream,
                np.load(stream, allow_pickle=False) as file,
            ):
                seen = _read(file)
        except _DAMAGED:
            return None
        self.recalled += 1
        return seen

    def keep(self, image: NDArray[Any], seen: SeenImage) -> None:
        """Remember what was found in an image."""
        found = seen.found
        arrays: dict[str, Any] = {
            "boxes": found.boxes,
            "scores": found.scores,
            "categories": found.categories,
            "bits": found.masks.bits,
            "mask_boxes": found.masks.boxes,
            "said": json.dumps([found.image_size, seen.area_factor, seen.cell_type]),
        }
        arrays |= {f"column_{name}": values for name, values in found.columns.items()}
        arrays |= {f"feature_{name}": values for name, values in seen.table.items()}
        with atomic_write(self._path(image)) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **arrays)

    def note(self, rescorer: Rescorer, table: Table, truth: NDArray[np.float64]) -> None:
        """Remember how far a second level is off with ever more trees, on objects held out."""
        every = max(1, self.config.trees // _CURVE_POINTS)
        for trees, predicted in rescorer.staged(table, every):
            self._errors.setdefault(trees, []).append((predicted - truth) ** 2)

    def write_curve(self) -> None:
        """``curve.csv``: trees, and the root mean square error on objects held out."""
        with (
            atomic_write(self.folder / CURVE_FILE) as temporary,
            temporary.open("w", newline="") as stream,
        ):
            writer = csv.writer(stream)
            writer.writerow(["trees", "rmse"])
            for trees, parts in sorted(self._errors.items()):
                writer.writerow([trees, f"{float(np.sqrt(np.concatenate(parts).mean())):.6g}"])

    def write_figures(self, figures: RescoreFigures) -> None:
        """``figures.txt``, the table that is printed."""
        write_text(self.folder / FIGURES_FILE, figures.to_text(self.config.rank) + "\n")

    def _path(self, image: NDArray[Any]) -> Path:
        facts = (self.model, self.config.preset, image.shape, image.dtype.str)
        digest = hashlib.sha256(repr(facts).encode())
        digest.update(np.ascontiguousarray(image).data)
        return self.folder / SAMPLES_FOLDER / f"{digest.hexdigest()[:32]}.npz"


def _read(file: Mapping[str, Any]) -> SeenImage:
    size, area_factor, cell_type = json.loads(str(file["said"]))
    columns = {
        name.removeprefix("column_"): file[name] for name in file if name.startswith("column_")
    }
    table = {
        name.removeprefix("feature_"): file[name] for name in file if name.startswith("feature_")
    }
    masks = CropMasks(file["bits"], file["mask_boxes"], (size[0], size[1]))
    found = Instances(
        (size[0], size[1]), file["boxes"], file["scores"], file["categories"], masks, columns
    )
    return SeenImage(found, table, float(area_factor), str(cell_type))
