"""Teaches an image classifier the cell type of whole images."""
