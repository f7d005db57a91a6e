"""Models that an installed detectron2 builds and runs, as bundles like any other."""
