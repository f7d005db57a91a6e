"""Exports the same dataset over and over, to be killed: ``exports_of.py SOURCE FOLDER``."""

from __future__ import annotations

import shutil
import sys
from itertools import count
from pathlib import Path

from napari_sartorius.io.coco import read_coco
from napari_sartorius.io.exporting import export_dataset

FORMATS = ("coco", "submission", "train-csv", "labels", "rois", "geojson", "table", "dsb")


def main(source: Path, folder: Path) -> None:
    """Report each round once it is complete."""
    dataset = read_coco(source)
    for number in count(1):
        shutil.rmtree(folder / "dsb", ignore_errors=True)  # a folder needs a free name
        export_dataset(dataset, folder, FORMATS)
        print(number, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
