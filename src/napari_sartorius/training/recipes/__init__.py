"""Ready ways to train: recipes by name, read from files, run stage after stage."""

from napari_sartorius.training.recipes.architectures import default_config, light_architecture

__all__ = ["default_config", "light_architecture"]
