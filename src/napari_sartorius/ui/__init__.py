"""The dock in napari: the only room that imports Qt and napari."""
