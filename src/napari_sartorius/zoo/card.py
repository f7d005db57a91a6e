"""A model's card: what it finds, how its input must look, what may be done with it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.zoo.first_problem import first_problem
from napari_sartorius.zoo.learnt_from import LearntFrom
from napari_sartorius.zoo.rescorer_card import RescorerCard

if TYPE_CHECKING:
    from napari_sartorius.nn.config import Architecture
    from napari_sartorius.postprocess.filter_config import FilterConfig


class _Card(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


class CategoryCard(_Card):
    """A kind of object: its name, its colour (#rrggbb) and what it is in words."""

    name: str = Field(min_length=1)
    colour: str = Field(pattern="^#[0-9a-fA-F]{6}$")
    description: str = ""


class Thresholds(_Card):
    """What an object of one category must reach to be kept.

    Parameters
    ----------
    score
        Smallest confidence, 0..1.
    mask
        Probability from which a pixel belongs to the object, 0..1.
    nms
        Largest mask IoU with a better object, 0..1.
    min_size
        Smallest area in pixels at the model's own scale, after overlap removal.
    vote
        Weight of its scores where the objects of an image decide on the one category that it
        shows, above 0 to 1. A category of less than 1, one that was learnt from a few images beside
        others, needs more evidence than those; where it loses, its objects count as the winner's.
    """

    score: float = Field(default=0.3, ge=0, le=1)
    mask: float = Field(default=0.5, ge=0, le=1)
    nms: float = Field(default=0.3, ge=0, le=1)
    min_size: int = Field(default=20, ge=0)
    vote: float = Field(default=1.0, gt=0, le=1)


class InputSize(_Card):
    """The size to which whole images are brought when the user names no size of the cells.

    detectron2's rule: the shorter edge becomes `short_edge`, unless the longer one would pass
    `long_edge`; then that one becomes `long_edge`.

    Parameters
    ----------
    short_edge, long_edge
        Pixels.
    rounding
        What becomes of a fraction of a pixel of the rescaled image's size.
    antialias
        Whether several pixels are averaged where an image is shrunk, as Pillow and thereby
        detectron2 do; torchvision's networks read single ones.
    """

    short_edge: int = Field(default=800, ge=32)
    long_edge: int = Field(default=1333, ge=32)
    rounding: Literal["nearest", "down"] = "nearest"
    antialias: bool = True

    def factor(self, image_size: tuple[int, int]) -> float:
        """Network pixels per image pixel for an image of (height, width)."""
        factor = self.short_edge / min(image_size)
        if factor * max(image_size) > self.long_edge:
            factor = self.long_edge / max(image_size)
        return factor


class Card(_Card):
    """What cards of single models and of ensembles have in common.

    Parameters
    ----------
    name, title, description
        Identifier, line for a list, paragraph for a reader.
    categories
        In the order in which they are counted.
    thresholds
        By category name.
    filters
        What is done to the objects besides, in this order, once doubles are gone and before
        overlaps are.
    rescorer
        The second level, if there is one.
    licence, citation, training_data, schedule, known_failures
        For people, shown before use.
    metrics
        Named figures on held-out images; `metrics_command` reproduces them.
    """

    format_version: int = 1
    name: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$")
    title: str
    description: str
    categories: tuple[CategoryCard, ...] = Field(min_length=1)
    thresholds: dict[str, Thresholds] = Field(default_factory=dict)
    filters: tuple[Any, ...] = ()
    rescorer: RescorerCard | None = None
    licence: str
    citation: str = ""
    training_data: str
    schedule: str = ""
    metrics: dict[str, float] = Field(default_factory=dict)
    metrics_command: str = ""
    known_failures: tuple[str, ...] = ()

    @field_validator("filters", mode="before")
    @classmethod
    def _read_filters(cls, value: Any) -> tuple[FilterConfig, ...]:
        """Most cards have none, and a list of cards is shown without knowing all filters."""
        if not value:
            return ()
        from napari_sartorius.postprocess.filter_config import read_filters

        try:
            return read_filters(value)
        except ValidationError as error:
            raise ValueError(first_problem(error)) from error

    @model_validator(mode="after")
    def _categories_have_names_of_their_own(self) -> Self:
        names = self.category_names
        if len(set(names)) != len(names):
            raise ValueError("two categories have the same name")
        self._check_thresholds(self.thresholds)
        named: set[str] = set().union(*(one.named_categories() for one in self.filters)) - set(
            names
        )
        if self.rescorer is not None:
            named |= set(self.rescorer.min_predicted_iou) - set(names)
        if named:
            raise ValueError(
                f"filters or rescorer name unknown categories: {', '.join(sorted(named))}"
            )
        return self

    def _check_thresholds(self, thresholds: dict[str, Thresholds]) -> None:
        unknown = set(thresholds) - set(self.category_names)
        if unknown:
            raise ValueError(f"thresholds name unknown categories: {', '.join(sorted(unknown))}")

    @property
    def category_names(self) -> list[str]:
        """Names of the categories in their order."""
        return [category.name for category in self.categories]

    def thresholds_of(self, category: str) -> Thresholds:
        """Thresholds of a category; the defaults when the card has none for it."""
        return self.thresholds.get(category, Thresholds())

    def with_changes(self, **changes: Any) -> Self:
        """Validated copy with some fields replaced."""
        return type(self).model_validate(self.model_dump() | changes)


class ModelCard(Card):
    """Everything that is known of a model without loading its weights.

    Parameters
    ----------
    cell_diameter
        Typical diameter of an object as the network was trained to see it, pixels (of a disc of
        equal area). Training images were seen unscaled unless there is an `input_size`.
    pixel_size
        Micrometres per pixel of the training images; None when unknown.
    architecture
        The network's tree, which becomes an object when `architecture` is asked for: a list of
        cards is shown without knowing all networks.
    normalisation
        What the network must be fed.
    input_size
        The size that whole images are brought to; None leaves them as they are.
    image_diameter
        Typical diameter of an object in the images that the model is meant for, in their own
        pixels, where that is not `cell_diameter`: when the user names no size, images are rescaled
        by `cell_diameter` over this.
    whole_grey_levels
        Whether rescaled pixels of integer images are rounded to whole numbers after each axis,
        columns first, as Pillow does and thereby detectron2. Networks trained so were never shown
        the values in between.
    mask_pasting
        Where a small mask lies in the image: ``exact`` between the edges of its box, as in
        detectron2 and mmdetection, or ``whole_pixels`` between those of the pixels that they are
        in, as in torchvision.
    precision
        Arithmetic that ``auto`` means for this model: ``float32`` where bfloat16 would change what
        is found, ``auto`` where the hardware may decide.
    box_nms, max_objects
        Limits that the model was made with: IoU, 0..1, from which the lower-scored of two boxes is
        dropped, and most objects of one image or tile; None where nobody said. The user's win.
    views
        Test-time views of each preset.
    parent
        Model this one was trained from.
    learnt_from
        Of a fine-tuned model: its images, what was done not to forget, and figures before and
        after.
    sha256
        Checksum of the weights file, hexadecimal.
    """

    cell_diameter: float = Field(gt=0)
    pixel_size: float | None = Field(default=None, gt=0)
    architecture_tree: dict[str, Any] = Field(alias="architecture")
    normalisation: Normalisation = Normalisation()
    input_size: InputSize | None = None
    image_diameter: float | None = Field(default=None, gt=0)
    whole_grey_levels: bool = False
    mask_pasting: Literal["exact", "whole_pixels"] = "exact"
    precision: Literal["auto", "float32"] = "auto"
    box_nms: float | None = Field(default=None, ge=0, le=1)
    max_objects: int | None = Field(default=None, ge=1)
    one_category_per_image: bool = False
    views: dict[str, tuple[str, ...]] = Field(
        default_factory=lambda: {
            "fast": ("identity",),
            "balanced": ("identity", "horizontal"),
            "best": ("identity", "horizontal", "vertical", "both"),
        }
    )
    parent: str | None = None
    learnt_from: LearntFrom | None = None
    sha256: str = Field(default="", pattern="^([0-9a-f]{64})?$")

    @field_validator("architecture_tree", mode="before")
    @classmethod
    def _as_it_is_written(cls, tree: Any) -> Any:
        return tree.model_dump(mode="json") if isinstance(tree, BaseModel) else tree

    @model_validator(mode="after")
    def _names_agree(self) -> ModelCard:
        names = self.category_names
        classes = self.architecture_tree.get("num_classes")
        if len(names) != classes:
            raise ValueError(f"classes of the network: {classes}, names in the card: {len(names)}")
        if self.normalisation.per_channel and self.input_channels != 3:
            raise ValueError("three means or deviations need a network of three channels")
        if self.input_size is not None and self.image_diameter is not None:
            raise ValueError("input_size and image_diameter both say how to rescale an image")
        return self

    @property
    def lead(self) -> ModelCard:
        """The card itself; of an ensemble, that of the member whose scale it is."""
        return self

    @property
    def is_classifier(self) -> bool:
        """Whether the network tells of whole images what they show, and finds no objects."""
        return self.architecture_tree.get("family") == "classifier"

    @cached_property
    def architecture(self) -> Architecture:
        """The network's tree.

        Raises
        ------
        ValidationError
            When this version knows no such network.
        """
        from napari_sartorius.nn.config import read_architecture

        return read_architecture(self.architecture_tree)

    @property
    def input_channels(self) -> int:
        """1 for grey, 3 for colour."""
        trunk = self.architecture_tree.get("trunk")
        written = trunk.get("in_channels") if isinstance(trunk, dict) else None
        return self.architecture.trunk.in_channels if written is None else int(written)
