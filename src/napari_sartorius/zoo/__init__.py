"""Model bundles and their cards: what ships with the package and what the user added."""
