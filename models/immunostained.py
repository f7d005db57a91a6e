"""Teaches ``nuclei`` immunostained tissue, which its data lack, by generated pictures of it.

    python models/immunostained.py DATA/dsb2018 runs/nuclei-immunostained

goes on with the bundled model by ``models/nuclei/immunostained.json``: every fourth crop is of a
generated picture, blue nuclei among brown cells, the others are of the data. Goes on where it was
stopped. What comes out is averaged with what it began with (Wortsman et al. 2022, WiSE-FT), which
keeps what is new and forgets less, in the run folder ``runs/nuclei-immunostained/averaged``, of
which `scripts/finish_model.py` makes a bundle.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch

from napari_sartorius.cli.console import ConsoleMonitor
from napari_sartorius.io.coco import CocoDataset, read_coco
from napari_sartorius.samples.annotated_folder import write_annotated_folder
from napari_sartorius.samples.nuclei import CATEGORIES, nuclei_scene
from napari_sartorius.training.config import TrainConfig
from napari_sartorius.training.mixture import FurtherImages
from napari_sartorius.training.run import train
from napari_sartorius.zoo import find_single

CONFIG = Path(__file__).parent / "nuclei" / "immunostained.json"
SHARE = 0.25
NEW_WEIGHT = 0.62
"""Of four averages this finds as much in the data as before; the table is in the README here."""
_PICTURES, _SIDE = 120, 384


def write_pictures(folder: Path) -> CocoDataset:
    """Generated pictures and their truth, as files."""
    scenes = (
        (*nuclei_scene("immunostained", (_SIDE, _SIDE), seed=number), "train")
        for number in range(1, _PICTURES + 1)
    )
    return read_coco(write_annotated_folder(folder, scenes, CATEGORIES))


def average(run: Path, start: dict[str, torch.Tensor]) -> None:
    """Write the average of the start and the best weights of a run as a run of its own."""
    best: dict[str, torch.Tensor] = torch.load(run / "best.pt", weights_only=True)
    folder = run / "averaged"
    folder.mkdir(exist_ok=True)
    for name in ("config.json", "last.pt"):
        shutil.copy(run / name, folder / name)
    mixed = {
        name: torch.lerp(start[name].float(), new.float(), NEW_WEIGHT).to(new.dtype)
        if new.is_floating_point()
        else new
        for name, new in best.items()
    }
    torch.save(mixed, folder / "best.pt")


def main() -> None:
    """Train, or go on."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, help="annotated images of nuclei")
    parser.add_argument("run", type=Path, help="folder of the run")
    options = parser.parse_args()
    further = FurtherImages(write_pictures(options.run.parent / "immunostained"), lambda _: SHARE)
    config = TrainConfig.model_validate_json(CONFIG.read_text())
    start = find_single(str(config.initial_weights)).load_network().state_dict()
    with ConsoleMonitor() as monitor:
        train(options.data, options.run, config, monitor, further=[further])
    average(options.run, start)


if __name__ == "__main__":
    main()
