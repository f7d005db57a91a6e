"""What a recipe file may say: stages one after the other, and what each of them begins with.

A recipe is data. Whatever it names is made by code that also works without it: a stage ``train``
is a call of `training.run.train`, a stage ``classifier`` one of `training.classifier`, and so on.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from napari_sartorius.training.recipes.parts import RULES, Epochs, Mixture
from napari_sartorius.zoo.card import InputSize

Role = Literal["target", "pretrain"]
STAGE = "stage:"
"""Put before a stage's name where a model or images may come from a stage."""


class _Stage(BaseModel):
    """What all stages have in common.

    Parameters
    ----------
    name
        Of the stage and of its folder.
    about
        A sentence for people.
    skip_if_missing
        What it needs may be missing (images of its role, unlabelled images, a package, an earlier
        stage); then it is left out and the user is told. Else that is an error.
    """

    model_config = RULES

    name: str = Field(pattern="^[a-z0-9][a-z0-9-]*$")
    about: str = ""
    skip_if_missing: bool = False


class TrainStage(_Stage):
    """Train a network.

    Parameters
    ----------
    data
        ``target`` are the images that the result is for, ``pretrain`` others to learn from first.
    init
        Where weights come from: ``stage:NAME``, a model's name, or a checkpoint. What depends on
        the categories begins anew.
    settings
        Fields of `TrainConfig` that differ from those of the recipe, as a tree.
    epochs
        Length in epochs instead of the steps of `settings`.
    input_size
        Images are brought to this size before crops are taken, and so they are when segmenting.
    categories_from
        Field of the image records that names the category of all objects of an image, where the
        file knows one kind of object only; other files keep their categories.
    mix
        Further images.
    """

    kind: Literal["train"] = "train"
    data: Role = "target"
    init: str | None = None
    settings: dict[str, Any] = {}
    epochs: Epochs | None = None
    input_size: InputSize | None = None
    categories_from: str | None = None
    mix: tuple[Mixture, ...] = ()


class FineTuneStage(_Stage):
    """Train the model of ``--init`` further and measure it before and after.

    Parameters
    ----------
    effort
        Whose schedule is taken; see `training.finetune`.
    scale
        So many times its steps are the most that are made, in so many times its minutes. Without
        effect where `settings` say the steps.
    settings
        Fields of `TrainConfig` that differ from it. Where they say the steps, what is counted in
        steps and not said goes with them; see `finetune_schedule.in_proportion`.
    """

    kind: Literal["finetune"] = "finetune"
    effort: Literal["quick", "thorough"] = "quick"
    scale: float = Field(default=1.0, gt=0)
    settings: dict[str, Any] = {}


class ClassifierStage(_Stage):
    """Teach an image classifier the cell type of whole images.

    Parameters
    ----------
    settings
        Fields of `ClassifierConfig` that differ from its defaults.
    unlabelled
        Whether unlabelled images whose file names tell the type are learnt from, too.
    """

    kind: Literal["classifier"] = "classifier"
    settings: dict[str, Any] = {}
    unlabelled: bool = True


class PseudoLabelStage(_Stage):
    """Let models label images that nobody has labelled.

    Parameters
    ----------
    models
        ``stage:NAME`` or names of models; what several find is fused.
    settings
        Fields of `PseudoLabelConfig` that differ from its defaults.
    """

    kind: Literal["pseudo_labels"] = "pseudo_labels"
    models: tuple[str, ...] = Field(min_length=1)
    settings: dict[str, Any] = {}
    skip_if_missing: bool = True


class EnsembleStage(_Stage):
    """Make one model of several.

    Parameters
    ----------
    members
        Stages (``stage:NAME``) or models; stages that were left out are left out here.
    otherwise
        What is taken when all of them were left out.
    classifier
        The stage that tells the cell type.
    strategy, options
        How finds become one, see ``models ensemble``.
    views
        How each member looks in the preset Best.
    """

    kind: Literal["ensemble"] = "ensemble"
    members: tuple[str, ...] = Field(min_length=1)
    otherwise: str | None = None
    classifier: str | None = None
    strategy: str = "mean_of_looks"
    options: dict[str, Any] = {}
    views: tuple[str, ...] = ()


class RescoreStage(_Stage):
    """Teach a model's second level on images that it was not trained on.

    Parameters
    ----------
    model
        ``stage:NAME``.
    settings
        Fields of `RescoreConfig` that differ from its defaults.
    """

    kind: Literal["rescore"] = "rescore"
    model: str
    settings: dict[str, Any] = {}
    skip_if_missing: bool = True


Stage = Annotated[
    TrainStage | FineTuneStage | ClassifierStage | PseudoLabelStage | EnsembleStage | RescoreStage,
    Field(discriminator="kind"),
]


class Recipe(BaseModel):
    """A way to train, stage by stage.

    Parameters
    ----------
    name
        Of the file, or that of the recipe it began as.
    title, description, source
        For people: a line, a paragraph, and where the settings come from.
    needs
        What must or may be given, in words.
    takes
        How long on what, in words.
    licence
        What the licence of the result must say besides that of the data, or empty.
    settings
        Fields of `TrainConfig` for all stages ``train`` and ``finetune``, as a tree.
    folds
        Parts of the target images, each of which is held out once; 1 trains one model.
    group
        Fields of the image records that keep images together in a fold; empty: what is known.
    stages
        In their order. The model of the last one that makes one is the result.
    trial
        Whether this is a short run with small networks that shows whether the data will do.
    """

    model_config = RULES

    name: str = ""
    title: str
    description: str
    source: str
    needs: str = ""
    takes: str = ""
    licence: str = ""
    settings: dict[str, Any] = {}
    folds: int = Field(default=1, ge=1)
    group: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = Field(min_length=1)
    trial: bool = False

    @model_validator(mode="after")
    def _stages_follow(self) -> Self:
        known: set[str] = set()
        for stage in self.stages:
            for used in references(stage):
                if used not in known:
                    raise ValueError(f"stage {stage.name} uses {used}, which is no earlier stage")
            if stage.name in known:
                raise ValueError(f"two stages are called {stage.name}")
            known.add(stage.name)
        if self.folds > 1 and any(isinstance(stage, FineTuneStage) for stage in self.stages):
            raise ValueError("a fine-tuning makes its own split and has no folds")
        return self

    def stage(self, name: str) -> Any:
        """The stage of this name."""
        return next(stage for stage in self.stages if stage.name == name)


def references(stage: Any) -> list[str]:
    """Names of the stages that a stage uses, once each."""
    named: list[str | None] = []
    if isinstance(stage, TrainStage):
        named = [stage.init, *(mixture.images for mixture in stage.mix)]
    elif isinstance(stage, PseudoLabelStage):
        named = [*stage.models]
    elif isinstance(stage, EnsembleStage):
        named = [*stage.members, stage.otherwise, stage.classifier]
    elif isinstance(stage, RescoreStage):
        named = [stage.model]
    found = [name.removeprefix(STAGE) for name in named if name and name.startswith(STAGE)]
    return list(dict.fromkeys(found))
