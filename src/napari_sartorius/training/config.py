"""The whole configuration of a training run as one object, saved beside its checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, model_validator

from napari_sartorius.core.normalise import Normalisation
from napari_sartorius.nn.config import Architecture
from napari_sartorius.training.augment.config import AugmentConfig

if TYPE_CHECKING:
    from pathlib import Path


class FreezeConfig(BaseModel):
    """Weights that a run leaves as they are.

    Parameters
    ----------
    trunk_stages
        Stages of the trunk from the stem on: 0 none, 1 the stem, 2 the stem and the first stage...
    normalisation
        Statistics, weights and biases of every batch normalisation: with one or two crops per step
        the statistics of a batch say little.
    statistics
        Only the statistics of every batch normalisation: a few crops of one new kind of image are
        no measure of all images, and with theirs a network loses its old kinds at once.
    """

    model_config = ConfigDict(extra="forbid")

    trunk_stages: int = Field(default=0, ge=0, le=5)
    normalisation: bool = False
    statistics: bool = False


class ReplayConfig(BaseModel):
    """What keeps a fine-tuned model from forgetting; used by `napari_sartorius.training.finetune`.

    Holding the statistics of its normalisation helps as much: `FreezeConfig.statistics`.

    Parameters
    ----------
    generated
        Generated pictures that are drawn; those that the start knows are shown among the new ones.
    data
        Annotated images of the kinds that the start knows, in any form that `read_dataset` reads;
        None where there are none.
    share
        Share of the training crops that shows old kinds.
    pull
        How strongly each step pulls the weights back to the start's: this times the learning rate
        is the share of the distance that is taken back (L2-SP).
    blends
        Shares of the learnt weights that are tried in the end, the rest being the start's
        (WiSE-FT); all of the learnt weights are tried in any case.
    give_up
        Share of the gain on the new cells, 0..1, that may be lost for a blend that remembers more.
    """

    model_config = ConfigDict(extra="forbid")

    generated: int = Field(default=60, ge=0)
    data: str | None = None
    share: float = Field(default=0.4, gt=0, lt=1)
    pull: float = Field(default=2.0, ge=0)
    blends: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.5, 0.65, 0.8)
    give_up: float = Field(default=0.1, ge=0, lt=1)


class TrainConfig(BaseModel):
    """Everything that decides a training run.

    Parameters
    ----------
    architecture
        The network; `num_classes` must equal the number of categories in the data.
    crop
        Side of a training crop in network pixels.
    batch_size, steps
        Crops per step, number of steps.
    learning_rate, weight_decay, warmup_steps, gradient_clip
        Optimiser settings; the rate falls on a cosine after a linear warm-up.
    ema
        Decay of the running average of the weights that is validated and shipped.
    balance
        ``category`` shows every category equally often, ``image`` every image, ``group`` every
        value of the image field named by `balance_field`.
    train_split, validation_split
        Names of the splits, where the images' records have a ``split``; see `data.sides_of`. None
        for the first: the training makes its own split whatever the marks are. None for the second:
        nothing validates, so the last weights are the result.
    validate_every, validate_images, patience
        Steps between validations, images used (spread over the split), and validations without
        improvement before the run stops early.
    validate_first
        Also validate the weights that the run starts from: when training makes them no better, they
        are the result.
    accumulate
        Batches whose gradients are added up for one step: `batch_size` times this many crops are
        seen per step in the memory of `batch_size`.
    schedule, decay_steps, decay_factor
        How the rate falls after the warm-up: ``cosine`` to one hundredth, ``linear`` to zero, or
        ``steps``, times `decay_factor` after each of `decay_steps`.
    momentum
        Of SGD.
    loss_weights
        Factor of each loss by its name (as in the columns ``loss_*`` of the curve, which show
        losses before they are weighed); 1 where it is not named.
    loss_decay
        Lets the losses of classes and boxes fall during the run, in 40 parts of equal length, so
        that it ends on the mask's (11th place of the Sartorius challenge; `loss_weights.decayed`).
    freeze
        Which weights stay as they are.
    select_by
        Which validation figure says what is best and when to stop: the ``competition`` score, mask
        ``ap50`` or mask ``ap`` (COCO), each 0..1.
    precision
        ``auto`` uses bfloat16 where the device computes it faster; ``float16`` scales the loss and
        needs a CUDA device.
    replay
        What keeps a fine-tuned model from forgetting what its start knew; None lets it forget.
    initial_weights
        A bundle (name, folder or zip), or a checkpoint of any format that can be imported, whose
        fitting tensors are the start.
    """

    model_config = ConfigDict(extra="forbid")

    architecture: Architecture
    normalisation: Normalisation = Normalisation()
    augment: AugmentConfig = AugmentConfig()
    crop: int = Field(default=256, ge=64, multiple_of=32)
    batch_size: int = Field(default=4, ge=1)
    accumulate: int = Field(default=1, ge=1)
    steps: int = Field(default=3000, ge=1)
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(default=4e-4, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    warmup_steps: int = Field(default=100, ge=0)
    schedule: Literal["cosine", "linear", "steps"] = "cosine"
    decay_steps: tuple[int, ...] = ()
    decay_factor: float = Field(default=0.1, gt=0, lt=1)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    loss_weights: dict[str, NonNegativeFloat] = {}
    loss_decay: bool = False
    freeze: FreezeConfig = FreezeConfig()
    gradient_clip: float = Field(default=5.0, gt=0)
    ema: float = Field(default=0.998, ge=0, lt=1)
    balance: Literal["category", "image", "group"] = "category"
    balance_field: str = "group"
    train_split: str | None = "train"
    validation_split: str | None = "val"
    validate_every: int = Field(default=500, ge=1)
    validate_images: int = Field(default=24, ge=1)
    patience: int = Field(default=20, ge=1)
    validate_first: bool = False
    checkpoint_every: int = Field(default=100, ge=1)
    select_by: Literal["competition", "ap50", "ap"] = "competition"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = "auto"
    threads: int | None = None
    seed: int = 0
    replay: ReplayConfig | None = None
    initial_weights: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_older(cls, given: Any) -> Any:
        """Take ``replay.hold_normalisation`` of earlier versions for ``freeze.statistics``."""
        replay = given.get("replay") if isinstance(given, dict) else None
        if not isinstance(replay, dict) or "hold_normalisation" not in replay:
            return given
        replay, freeze = dict(replay), given.get("freeze", {})
        if replay.pop("hold_normalisation") and isinstance(freeze, dict):
            freeze = {**freeze, "statistics": True}
        return {**given, "replay": replay, "freeze": freeze}

    @classmethod
    def read(cls, path: Path) -> TrainConfig:
        """Configuration from a JSON file."""
        return cls.model_validate_json(path.read_text())
