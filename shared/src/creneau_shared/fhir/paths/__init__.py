"""The part of FHIRPath that Créneau reads: one grammar, three uses.

grammar.py    text → steps
elements.py   steps → the elements of a resource that they point at, which a patch changes
extraction.py steps → extractors of the values that a search parameter finds, compiled once

The third reads the steps alone: by which elements a profile tells slices apart (`profiles/matching.py`).
"""
