"""The Correct tab: the table of objects and the tools that change them.

From the pixels up: `pixel_watch` knows what changed in a label layer, whoever changed it and
however it was undone; `object_rows` keeps the layer's table in step with that; `session` offers
the tools; the other files are what the user sees of it. Only `correct_tab` is needed outside.
"""
