"""The part of FHIRPath that Créneau reads: one grammar, two uses.

grammar.py    text → steps
elements.py   steps → the elements of a resource that they point at, which a patch changes
extraction.py steps → extractors of the values that a search parameter finds, compiled once
"""
