"""Profile families: stored resources, which are neutral, rendered in the form that a specification demands.

Pure functions over parsed resources. The neutral family (FR Core 2.x) is no view: stored bytes go out as they are.
"""
