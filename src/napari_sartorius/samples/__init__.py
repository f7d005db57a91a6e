"""Pictures to try the package on: a generated scene with ground truth, and real micrographs."""
