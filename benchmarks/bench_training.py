"""Crops per second and training steps beside torchvision: see `training.py`."""

from __future__ import annotations

from training import main

if __name__ == "__main__":
    main()
