"""The vocabulary every other room speaks: instances, masks, categories, progress. Numpy only."""
