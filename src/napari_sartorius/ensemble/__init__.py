"""Several predictions become one: fusion of boxes and masks."""
