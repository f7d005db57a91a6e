"""Finds the thresholds of a model's card that do best on annotated images."""
