"""Tells the kind of a request by its address: those that only look are listed; others may be in the middle of something."""

from __future__ import annotations

import re

from creneau_web.admission.rule import Kind

LOOKING = re.compile(r"/|/recherche|/soignants/[^/]+(?:/creneaux)?")
"""home, results, a professional, their times. Choosing a time is a form (POST): it is finishing"""
APART = re.compile(r"/ops(?:/.*)?|/static/.*|/auth/deconnexion(?:/.*)?")
"""never counted: operators look when the load is high, files cost nothing, and a log-out frees something"""
SAFE = ("GET", "HEAD")


def kind_of(method: str, path: str) -> Kind | None:
    """The kind of a request; None: it is always let in."""
    if APART.fullmatch(path):
        return None
    return "looking" if method in SAFE and LOOKING.fullmatch(path) else "finishing"
