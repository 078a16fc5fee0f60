"""Turns typed text into what it means: whom, where, how, by what name. Pure; it never diagnoses.

`terms`, `towns` and `names` find pieces of the text that are known. `cover` chooses the pieces that fit best together.
`meaning` (`whom`, `where`, `wishes`, `over`) puts together what they mean. Words that no piece covers are ignored, and the
answer tells which. Examples: `Rennes dermato femme`, `dr Payet`, `kiné à domicile lyon 3`.
"""
