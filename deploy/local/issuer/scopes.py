"""Which scopes somebody gets of those that an application asks for."""

from __future__ import annotations

from collections.abc import Iterable

from creneau_shared.security.principal import Scope
from deploy.local.issuer.dialects import CITIZEN_CLAIMS, GROUPS
from deploy.local.tokens import SCOPES

ABOUT_THE_PERSON = ("profile", "email", *(name for name in GROUPS if name != "profile"), *CITIZEN_CLAIMS)
OWN = tuple(
    sorted({"openid", *ABOUT_THE_PERSON, *(word for words in SCOPES.values() for word in words.split())})
)
"""all that the issuer's own dialect knows"""


def granted(asked: str, role: str) -> str:
    """The granted scopes. On the person: those asked for. On resources: what the role allows of those asked for, or all it
    allows if none is asked for (who logs in is not known beforehand)."""
    words = asked.split()
    mine = SCOPES[role].split()
    about_the_person = [word for word in dict.fromkeys(words) if word in ("openid", *ABOUT_THE_PERSON)]
    narrowed = [word for word in words if "/" in word]
    rights = _within(narrowed, mine) if narrowed else (word for word in mine if "/" in word)
    told = ["fhirUser"] if "fhirUser" in words and "fhirUser" in mine else []
    return " ".join(dict.fromkeys([*about_the_person, *told, *rights]))


def _within(asked: Iterable[str], mine: list[str]) -> Iterable[str]:
    """The parts of each asked scope that a role has; a scope that is not about resources only as it is."""
    allowed = [scope for word in mine if (scope := Scope.parse(word))]
    for word in asked:
        wanted = Scope.parse(word)
        if wanted is None:
            yield from (word for own in mine if own == word)
            continue
        for own in allowed:
            names = {own.resource_type, wanted.resource_type} - {"*"}
            if own.level != wanted.level or len(names) > 1:
                continue
            name = next(iter(names), "*")
            letters = "".join(letter for letter in "cruds" if letter in own.actions & wanted.actions)
            if letters:
                yield f"{own.level}/{name}.{letters}"
