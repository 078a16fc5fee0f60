"""Work that takes a processor for long, done in a process beside the one that answers.

`jobs.py` is what can be done there; `workshop.py` hands it over; `__main__.py` is the process. Why a process, and
not a thread or slices: docs/adr/2026-11-28-heavy-work-beside-the-loop.md.
"""
