"""What is kept of a prediction: thresholds, mask NMS, overlap removal, size filters."""
