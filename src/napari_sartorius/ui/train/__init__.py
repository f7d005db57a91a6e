"""The Train tab: what was corrected makes the next segmentation better."""
