"""Reads the pivot identity from the claims that FranceConnect and ordinary issuers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from creneau_web.auth.claims import day, sex, text


def citizen(claims: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an `Identity` that anybody may have."""
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
