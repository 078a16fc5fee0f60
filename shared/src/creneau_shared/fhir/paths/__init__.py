"""The part of FHIRPath that Créneau reads: one grammar, three uses.

grammar.py    text → steps
elements.py   steps → the elements of a resource that they point at, which a patch changes
effort.py     how many elements the paths of one request may look at
extraction.py steps → extractors of the values that a search parameter finds, compiled once

The third use has no module here: `profiles/matching.py` reads the steps of the discriminators of slices.
"""
