"""Files to core objects and back: images, COCO, Kaggle tables, label images, overlays. No torch."""
