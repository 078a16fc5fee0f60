"""The pivot identity, in the claims in which both FranceConnect and an ordinary issuer say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from creneau_web.auth.claims import day, sex, text


def citizen(claims: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an `Identity` that are said of anybody."""
    return {
        "given_names": tuple(text(claims, "given_name").split()),
        "family_name": text(claims, "family_name"),
        "usual_name": text(claims, "preferred_username"),
        "birth_date": day(claims, "birthdate"),
        "sex": sex(claims),
        "birth_place": text(claims, "birthplace"),
        "birth_country": text(claims, "birthcountry"),
        "email": text(claims, "email"),
    }
