"""From an image to instances: tiling, test-time views, device planning, pasting masks."""
