"""The vocabulary every other room speaks: instances, crop masks, categories, progress. Numpy only."""
