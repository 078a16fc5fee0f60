"""Of which kind a request is, by its address: what only looks is listed, everything else may be in the middle of something."""

from __future__ import annotations

import re

from creneau_web.admission.rule import Kind

LOOKING = re.compile(r"/|/recherche|/soignants/[^/]+(?:/creneaux)?")
"""home, results, a professional, their times: choosing one of them is a form (POST), and goes on"""
APART = re.compile(r"/ops(?:/.*)?|/static/.*|/auth/deconnexion(?:/.*)?")
"""never counted: operators look when there is too much to do, files cost nothing, and who logs out frees something"""
SAFE = ("GET", "HEAD")


def kind_of(method: str, path: str) -> Kind | None:
    """None: it is let in whatever is in progress."""
    if APART.fullmatch(path):
        return None
    return "looking" if method in SAFE and LOOKING.fullmatch(path) else "finishing"
