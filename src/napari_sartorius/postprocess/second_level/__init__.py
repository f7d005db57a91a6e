"""The second level: how well will each object's mask fit, learnt from how well others did.

The 7th place of the Sartorius challenge (team Train4Ever) filtered its ensemble so; here any model
can have it: `features` measures objects, `rescorer` predicts their IoU, `rescoring` acts upon it.
"""
