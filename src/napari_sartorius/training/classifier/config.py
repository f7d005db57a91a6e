"""Everything that decides how an image classifier is taught."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.nn.config import ClassifierTrunkConfig, ImageClassifierConfig
from napari_sartorius.training.config import TrainConfig

# Fields that the loop shares with that of detectors, by the same names.
_SHARED = (
    "batch_size",
    "steps",
    "optimiser",
    "learning_rate",
    "weight_decay",
    "warmup_steps",
    "schedule",
    "decay_steps",
    "decay_factor",
    "momentum",
    "gradient_clip",
    "ema",
    "seed",
)


class ClassifierAugmentConfig(BaseModel):
    """Random changes of an image. Flips and quarter turns are always on.

    Parameters
    ----------
    zoom
        Smallest and largest magnification, drawn log-uniformly.
    contrast, brightness
        Largest relative gain and largest shift (in network units, where an image spans about 4).
    noise
        Largest standard deviation of added Gaussian noise, network units.
    """

    model_config = ConfigDict(extra="forbid")

    zoom: tuple[float, float] = (0.8, 1.25)
    contrast: float = Field(default=0.25, ge=0, lt=1)
    brightness: float = Field(default=0.25, ge=0)
    noise: float = Field(default=0.15, ge=0)


class ClassifierConfig(BaseModel):
    """How a classifier of whole images is taught.

    Parameters
    ----------
    architecture
        The network. `num_classes` becomes the number of types that the data shows. The default is
        a ResNet of ten layers on images of 260 x 260 pixels, minutes on a laptop's processor.
    normalisation
        What the network is fed.
    augment
        Random changes of the training images.
    batch_size, steps
        Images per step, number of steps.
    optimiser, learning_rate, weight_decay, warmup_steps, schedule, decay_steps, decay_factor
        As in `TrainConfig`, and so `momentum`, `gradient_clip`, `ema`, `seed`, `device`,
        `precision`, `threads`.
    balance
        ``type`` shows every type equally often, ``image`` every image.
    train_split, validation_split
        Names of the splits, where the data has them.
    validate_every, patience, checkpoint_every
        Steps between validations, validations without improvement before it ends, steps between
        checkpoints. Of two validations with the same accuracy that with the lower loss is better.
    type_field
        Field of the image records that names the type; where a record lacks it, the category that
        most of its objects have.
    name_pattern
        Regular expression whose first group is the type in the file name of an unlabelled image.
        The default takes what stands before the first ``[`` or ``_``, as in ``cort[debris]_B2-1``.
    initial_weights
        A model's name or folder, or a file with weights of the timm network (``.pth``,
        ``.safetensors``); nothing is downloaded. None begins at random.
    """

    model_config = ConfigDict(extra="forbid")

    architecture: ImageClassifierConfig = ImageClassifierConfig(
        num_classes=2, trunk=ClassifierTrunkConfig(name="resnet10t"), image_size=(260, 260)
    )
    normalisation: Normalisation = Normalisation()
    augment: ClassifierAugmentConfig = ClassifierAugmentConfig()
    batch_size: int = Field(default=16, ge=2)
    steps: int = Field(default=400, ge=1)
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    warmup_steps: int = Field(default=20, ge=0)
    schedule: Literal["cosine", "linear", "steps"] = "cosine"
    decay_steps: tuple[int, ...] = ()
    decay_factor: float = Field(default=0.1, gt=0, lt=1)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    gradient_clip: float = Field(default=5.0, gt=0)
    ema: float = Field(default=0.98, ge=0, lt=1)
    balance: Literal["type", "image"] = "type"
    train_split: str = "train"
    validation_split: str = "val"
    validate_every: int = Field(default=40, ge=1)
    patience: int = Field(default=5, ge=1)
    checkpoint_every: int = Field(default=40, ge=1)
    type_field: str = "cell_type"
    name_pattern: str = r"^([^\[_]+)"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    device: str = "auto"
    threads: int | None = None
    seed: int = 0
    initial_weights: str | None = None

    def train_config(self) -> TrainConfig:
        """The settings of optimiser, schedule and average, for the code that detectors share."""
        return TrainConfig(
            architecture=self.architecture, **{name: getattr(self, name) for name in _SHARED}
        )
