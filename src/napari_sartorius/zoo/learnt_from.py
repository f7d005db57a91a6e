"""What a card says of a fine-tuning: from which model and images it came, and what it changed.

File names without folders and checksums are enough to find out later whether a model knows an
image, and say nothing of the disk that the images were on.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LearntImage(_Part):
    """One corrected image.

    Parameters
    ----------
    name
        File name without folders.
    plane
        Index of the plane of a stack, one number per further axis; empty for a plain image.
    sha256
        Checksum of the file.
    annotations_sha256
        Checksum of the masks and categories of its cells, in their order.
    cells
        How many there are.
    corrected_cells
        How many of them a person drew, changed or looked at; None where the annotations say
        nothing about it.
    used_for
        ``training``, ``validation``, or ``both`` where a strip of the image was kept apart.
    """

    name: str
    plane: tuple[int, ...] = ()
    sha256: Sha256
    annotations_sha256: Sha256
    cells: int = Field(ge=0)
    corrected_cells: int | None = Field(default=None, ge=0)
    used_for: Literal["training", "validation", "both"] = "training"


class Kept(_Part):
    """What was done so that the model does not forget what its parent knew.

    Parameters
    ----------
    generated
        How many generated pictures that the parent knows were shown among the new images.
    images
        How many annotated images of the parent's own kinds were shown.
    share
        Share of the training crops that came from these two.
    pull
        Strength of the pull towards the parent's weights.
    frozen_normalisation
        Whether the statistics of the normalisation layers stayed those of the parent.
    new_weight
        Share of the newly learnt weights in the shipped ones; the rest are the parent's.
    """

    generated: int = Field(default=0, ge=0)
    images: int = Field(default=0, ge=0)
    share: Share = 0.0
    pull: float = Field(default=0.0, ge=0)
    frozen_normalisation: bool = False
    new_weight: Share = 1.0


class LearntFrom(_Part):
    """Where a fine-tuned model comes from.

    Parameters
    ----------
    parent, parent_sha256
        Name of the model that was the start, and checksum of its weights.
    images
        The corrected images.
    cells, corrected_cells
        In all of them; see `LearntImage`.
    recipe
        ``quick``, ``thorough``, or ``own`` for a configuration that the user gave.
    recipe_name
        Name of the recipe, or of the configuration's file; empty where none was given, and on
        cards of earlier versions.
    steps, seconds
        How long it learnt.
    zoom
        By how much the images were enlarged before the network saw them.
    kept
        What kept it from forgetting; None when nothing was done.
    before, after
        Figures of the parent and of this model on the cells that were kept apart, 0..1.
    """

    parent: str
    parent_sha256: Sha256
    images: tuple[LearntImage, ...] = ()
    cells: int = Field(ge=0)
    corrected_cells: int | None = Field(default=None, ge=0)
    recipe: Literal["quick", "thorough", "own"]
    recipe_name: str = ""
    steps: int = Field(ge=0)
    seconds: float = Field(ge=0)
    zoom: float = Field(default=1.0, gt=0)
    kept: Kept | None = None
    before: dict[str, float] = Field(default_factory=dict)
    after: dict[str, float] = Field(default_factory=dict)
