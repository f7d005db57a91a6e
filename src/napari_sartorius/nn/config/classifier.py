"""The image classifier."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from napari_sartorius.nn.config.tree import Tree


class ClassifierTrunkConfig(Tree):
    """A timm network that turns an image into one vector.

    Parameters
    ----------
    name
        Any timm name, e.g. ``tf_efficientnetv2_b0``; ``efficientnetv2_rw_m`` is the one with which
        a Sartorius system told the three cell types apart.
    in_channels
        Channels of the input, 1 (grey) or 3 (RGB).
    drop_path
        Share of residual branches that are skipped at random in training.
    """

    name: str = "tf_efficientnetv2_b0"
    in_channels: Literal[1, 3] = 1
    drop_path: float = Field(default=0.0, ge=0, lt=1)


class ImageClassifierConfig(Tree):
    """Tells of a whole image which cell type it shows (EfficientNetV2: Tan and Le 2021).

    Parameters
    ----------
    num_classes
        Cell types.
    trunk
        The network.
    image_size
        (height, width) to which every image is brought, whatever its aspect; None leaves it.
    dropout
        Share of the vector's entries that are left out at random in training.
    """

    family: Literal["classifier"] = "classifier"
    num_classes: int = Field(ge=2)
    trunk: ClassifierTrunkConfig = ClassifierTrunkConfig()
    image_size: tuple[int, int] | None = (520, 520)
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @property
    def smallest_object(self) -> float:
        """Pixels; of no meaning where no objects are looked for."""
        return 1.0
