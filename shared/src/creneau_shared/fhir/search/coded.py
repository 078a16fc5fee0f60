"""Codes that a value stands for: members of a value set, codes below or above a code (FHIR R4 search.html#token).

They become plain tokens, which any table answers like a list of codes: with one look at its index.
"""

from __future__ import annotations

from collections.abc import Iterable

from creneau_shared.fhir.search.request import TokenValue
from creneau_shared.fhir.search.terms import relative_reference
from creneau_shared.fhir.terminology import (
    ancestors,
    descendants,
    known_code_system,
    value_set_codes,
    value_set_url,
)
from creneau_shared.fhir.terminology.catalogue import catalogue, value_set_catalogue


class UnknownCodesError(LookupError):
    """A value set, or the system of a hierarchy, that is not known here."""

    def __init__(self, fr: str, en: str) -> None:
        self.fr = fr
        self.en = en
        super().__init__(en)


def value_set_tokens(reference: str, base_url: str) -> list[TokenValue]:
    """The codes of a value set, named by its canonical (a `|version` is ignored) or as `ValueSet/id` of this server."""
    relative = relative_reference(reference, base_url)
    canonical = (
        value_set_url(relative.removeprefix("ValueSet/")) if relative.startswith("ValueSet/") else None
    )
    canonical = (canonical or reference).partition("|")[0]
    codes = value_set_codes(canonical) if canonical in value_set_catalogue() else None
    if codes is None:
        raise UnknownCodesError(
            f"Le jeu de valeurs « {reference} » n’est pas connu ici ; ceux qui le sont : GET {base_url}/ValueSet",
            f"The value set '{reference}' is not known here; those that are: GET {base_url}/ValueSet",
        )
    return _tokens(codes)


def hierarchy_tokens(token: TokenValue, modifier: str) -> list[TokenValue]:
    """The code itself and the codes below (or above) it. Without a system, in each known system that has the code.

    The hierarchy of an unknown system is refused, since the code alone would pass for the whole answer. A code that a
    known system does not have stands alone.
    """
    if token.system and not known_code_system(token.system):
        raise UnknownCodesError(
            f"Le système « {token.system} » n’est pas connu ici : :{modifier} ne peut pas y être évalué",
            f"The system '{token.system}' is not known here: :{modifier} cannot be evaluated in it",
        )
    code = token.code or ""
    systems = catalogue() if token.system is None else (token.system,)
    pairs = [(system, found) for system in systems for found in _closure(system, code, modifier)]
    return [token, *_tokens(pairs)]


def _closure(system: str, code: str, modifier: str) -> Iterable[str]:
    held = catalogue().get(system)
    if held is None or code not in held.concepts:
        return ()
    return (descendants(system, code) if modifier == "below" else ancestors(system, code)) or ()


def _tokens(codes: Iterable[tuple[str, str]]) -> list[TokenValue]:
    return [TokenValue(system, code) for system, code in sorted(codes)]
