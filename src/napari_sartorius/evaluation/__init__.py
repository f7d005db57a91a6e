"""How good a segmentation is: the competition metric and COCO average precision."""
