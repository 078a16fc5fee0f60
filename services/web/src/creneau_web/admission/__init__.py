"""Serves requests by priority when a process is overloaded: who holds a time comes before who begins."""
