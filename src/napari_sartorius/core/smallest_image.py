"""How small an image may be: apart from what reads images, because the dock asks before that."""

SMALLEST_SIDE = 4
"""Images narrower than this many pixels cannot show a cell."""
