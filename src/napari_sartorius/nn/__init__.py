"""Networks in torch: trunks, pyramids, proposal and region heads. Knows no files, no napari."""
