"""Names of the files in a run's folder: trainer, command line and dock agree here."""

from __future__ import annotations

STOP_FILE = "stop"
"""A file of this name ends the run after the present step; its best stays."""

CANCEL_FILE = "cancel"
"""A file of this name ends the run at once: whoever watches it need not have started it."""

PAUSE_FILE = "pause"
"""While a file of this name exists the run waits, with a fresh checkpoint and an idle processor."""

STATE_FILE = "state.json"
"""What the run is doing and how to go on with it (`RunState`)."""

CONFIG_FILE = "config.json"
"""The whole configuration."""

PLAN_FILE = "plan.json"
"""What a fine-tuning decided before its first step, with the score of its start."""

CURVE_FILE = "curve.csv"
"""One row per validation."""

LAST_FILE = "last.pt"
"""Everything that a killed run needs to go on."""

BEST_FILE = "best.pt"
"""Averaged weights of the best validation."""

MODEL_FOLDER = "model"
"""The finished bundle."""

PICTURES_FOLDER = "pictures"
"""Validation images with truth and prediction, ``NAME-before.png`` and ``NAME-now.png``."""

DATA_FOLDER = "data"
"""The annotations that the run began with, so that it goes on with the same ones."""

SETTINGS_FILE = "settings.json"
"""The configuration that was asked for, before anything was fitted to the data or the time."""

RECIPE_COPY = "recipe-file.yaml"
"""The file that the settings were asked for in, as it was when the run began."""
