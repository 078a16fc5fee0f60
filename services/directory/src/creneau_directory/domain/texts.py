"""Texts that a practice may not write about whom it receives: nobody is turned away for how their care is paid.

Refusing people for their cover (complémentaire santé solidaire, formerly CMU-C; aide médicale de l'État) is a refusal
of care (Code de la santé publique L1110-3); the Défenseur des droits had platforms take such words away
(decisions 2018-269 and 2018-270).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

ELEMENTS = ("name", "comment", "description", "extraDetails", "availabilityExceptions")
"""the elements of the directory's types that hold a practice's own words"""

_COVER = (
    r"(?:cmu(?: ?c)?|c2s|css|complementaire sante solidaire|couverture maladie universelle|ame|"
    r"aide medicale (?:d|de l) ?etat|puma|tiers payant social)"
)
_NOT = r"(?:pas|non|sans|sauf|hors|refus\w*|jamais|aucun\w*|exclu\w*|ni|interdit\w*|no|not|except)"
_NEAR = r"(?: \w+){0,6}? "
_DISCRIMINATING = re.compile(
    rf"\b(?:{_NOT}{_NEAR}{_COVER}|{_COVER}{_NEAR}{_NOT}|{_NOT} {_COVER}|{_COVER} {_NOT})\b"
)
_WELCOME = re.compile(r"\b(?:pas de refus|sans refus|non refuse\w*|sans condition|pas exclu\w*)\b")


def discriminating_texts(resource: Mapping[str, Any]) -> Iterator[str]:
    """Yields the elements whose text turns people away for their cover: `comment` …"""
    for element in ELEMENTS:
        text = resource.get(element)
        if isinstance(text, str) and turns_away(text):
            yield element


def turns_away(text: str) -> bool:
    """Whether a sentence of the text names a social cover (CSS, CMU, AME) together with a refusal."""
    return any(
        _DISCRIMINATING.search(sentence) and not _WELCOME.search(sentence) for sentence in _sentences(text)
    )


def _sentences(text: str) -> Iterator[str]:
    """Yields the sentences of a text in small letters, without accents and punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("âme", "esprit"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    for sentence in re.split(r"[.;!?\n]+", plain.replace("c.m.u.", "cmu").replace("a.m.e.", "ame")):
        yield " ".join(re.findall(r"\w+", sentence))
