"""The Project tab: many images, what was found and corrected in them, nothing ever lost."""
