"""Networks in torch: trunks, pyramids, proposal and region heads. Nothing here knows files or napari."""
