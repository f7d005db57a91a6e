"""Annotated images become a model: crops, augmentation, the fit loop, checkpoints."""
