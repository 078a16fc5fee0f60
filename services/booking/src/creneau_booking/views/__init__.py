"""Profile families: what is stored, which is neutral, written in the form that a specification demands.

Pure functions over parsed resources. The neutral family (FR Core 2.x) is no view: stored bytes go out as they are.
"""
