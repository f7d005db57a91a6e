"""Many images in one go: find them, segment each, write the outputs, remember what is done."""
