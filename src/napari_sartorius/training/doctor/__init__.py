"""What is wrong with annotated images, found before a training meets it; no torch in here."""
