"""Teaches a model's second level from annotated images that the model was not trained on."""
