"""The Evaluate tab: found cells beside true ones, the figures, and every error to look at."""
