"""What to do about each kind of finding, in the order in which they are told."""

from __future__ import annotations

REMEDIES: dict[str, str] = {
    "no objects": "annotate some images, or choose another file",
    "missing image": "put the file where the record says, or name its folder with --images",
    "unreadable image": "export the image again, or remove its record",
    "other size": "the annotations belong to another image: export them again",
    "other image": "the annotation belongs to another image: --fix drops it",
    "dangling": "add that record, or let --fix drop the annotation",
    "doubled id": "renumber one, or let --fix drop the later one",
    "damaged": "draw it again, or let --fix drop it",
    "no outline": "draw it again, or let --fix drop it",
    "same category name": "--fix makes them one; rename one if they differ",
    "giant": "use labels with a number per cell, or split the object",
    "no training image": "mark images as 'train', or make a split with `data split`",
    "no validation image": "nothing would measure the result: make a split with `data split`",
    "one validation image": "one image measures little: make a split with `data split`",
    "leak": "the same pixels are trained on and measured: remove one of them",
    "doubled image": "it counts twice: remove one of them",
    "doubled record": "the same file is listed twice: remove one record",
    "group on both sides": "figures will flatter: split again with `data split --group`",
    "doubled": "one cell drawn twice: --fix keeps the first",
    "hollow": "a fault of the outlines: --fix with --fill-holes closes them",
    "striped": "a fault of the outlines: --keep-masks removes it, --fill-holes hides some",
    "empty": "it has no pixels: --fix drops it",
    "outside": "--fix cuts it at the border",
    "wrong scale": "check that it has the same magnification, or rescale it",
    "other scale than the model": "give a model for cells of this size, or rescale the images",
    "mixed bit depths": "save all images in one depth if their grey levels should compare",
    "mixed colours": "fine for training, which makes them alike",
    "mixed sizes": "fine for training, which cuts crops",
    "unused category": "fine, but a class of which there is no example cannot be learnt",
    "no cells": "fine if it shows none; cells that are not drawn are learnt as background",
}
"""Remedy by kind; the order is that of a report."""
