"""The three ways in which the development issuer speaks: its own, that of FranceConnect v2, that of Pro Santé Connect.

Dialects differ in who can log in, the `sub`, the claims and their form, and whether the access token is one of Créneau's.
The providers' tokens are good for their own `userinfo` only.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from joserfc.jwk import ECKey, RSAKey

from creneau_shared.roles import Role
from deploy.local.issuer.people import Exercise, Person

Claims = dict[str, Any]

PSC_REALM = "550dc1c8-d97b-4b1e-ac8c-8eb4471cf9dd"
"""realm of the subjects that the `psc` dialect invents"""

PIVOT = ("given_name", "family_name", "birthdate", "gender", "birthplace", "birthcountry")
GROUPS = {
    "profile": ("given_name", "family_name", "birthdate", "gender", "preferred_username"),
    "birth": ("birthplace", "birthcountry"),
    "identite_pivot": PIVOT,
}
"""scopes that stand for several claims; each claim is a scope of its own, too"""
CITIZEN_CLAIMS = (*PIVOT, "preferred_username", "email")
EVERYBODY: frozenset[Role] = frozenset({"patient", "practitioner", "secretary", "counsellor", "operator"})


@dataclass(frozen=True)
class Dialect:
    """One way to speak. `path`: below the issuer's address, empty for its own."""

    name: str
    path: str
    key: ECKey | RSAKey
    algorithm: Literal["ES256", "RS256"]
    roles: frozenset[Role]
    scopes: tuple[str, ...]
    client_auth: tuple[str, ...]
    subject: Callable[[Person, str], str]
    """of a person, for a client (id)"""
    claims: Callable[[Person, frozenset[str]], Claims]
    """of a person, for the scopes granted, beside `sub`"""
    levels: tuple[str, ...] = ("eidas1",)
    """`acr` that it can vouch for, the first unless one is asked for"""
    signed_userinfo: bool = False
    is_strict: bool = False
    """whether state, nonce and acr_values are required, which the specification leaves open"""
    opaque_tokens: bool = False
    names_itself: bool = False
    """whether it says its name beside the code (RFC 9207)"""

    def issuer(self, base: str) -> str:
        return f"{base}{self.path}"

    def level(self, asked: str) -> str:
        """The first level in `asked` (`acr_values`) that the dialect can vouch for, else its first."""
        return next((level for level in asked.split() if level in self.levels), self.levels[0])


def own(key: ECKey, scopes: tuple[str, ...]) -> Dialect:
    """The deployment's own: everybody logs in, and the access token is the one for /fhir."""
    return Dialect(
        name="creneau",
        path="",
        key=key,
        algorithm="ES256",
        roles=EVERYBODY,
        scopes=scopes,
        client_auth=("client_secret_basic", "client_secret_post", "none"),
        subject=lambda person, client: person.key,
        claims=_own_claims,
        levels=("eidas1", "eidas2"),
        names_itself=True,
    )


def franceconnect(key: RSAKey) -> Dialect:
    """Citizens, with the claims of FranceConnect v2: userinfo is a signed JWT, `sub` differs for each client."""
    return Dialect(
        name="franceconnect",
        path="/franceconnect",
        key=key,
        algorithm="RS256",
        roles=frozenset({"patient"}),
        scopes=("openid", *CITIZEN_CLAIMS, *GROUPS),
        client_auth=("client_secret_post",),
        subject=_pairwise,
        claims=citizen_claims,
        signed_userinfo=True,
        is_strict=True,
        opaque_tokens=True,
    )


def psc(key: RSAKey) -> Dialect:
    """Professionals, with the claims of Pro Santé Connect: userinfo is JSON, `sub` ends with the national identifier."""
    return Dialect(
        name="psc",
        path="/psc",
        key=key,
        algorithm="RS256",
        roles=frozenset({"practitioner"}),
        scopes=("openid", "scope_all"),
        client_auth=("client_secret_post", "client_secret_basic"),
        subject=lambda person, client: f"f:{PSC_REALM}:{person.national_id}",
        claims=_professional_claims,
        opaque_tokens=True,
    )


def _pairwise(person: Person, client: str) -> str:
    digest = hmac.new(client.encode(), person.key.encode(), hashlib.sha256)
    return f"{digest.hexdigest()}v1"


def citizen_claims(person: Person, scopes: frozenset[str]) -> Claims:
    """Claims that the scopes allow. Somebody born abroad has an empty birth place; unknown claims are left out."""
    allowed = {claim for scope in scopes for claim in GROUPS.get(scope, (scope,))}
    known = {
        "given_name": person.given_names,
        "family_name": person.family_name,
        "birthdate": person.birth_date,
        "gender": person.sex,
        "birthplace": person.birth_place,
        "birthcountry": person.birth_country,
        "preferred_username": person.usual_name,
        "email": person.email,
    }
    abroad = {"birthplace"} if person.birth_country and not person.birth_place else set()
    return {name: value for name, value in known.items() if name in allowed and (value or name in abroad)}


def _own_claims(person: Person, scopes: frozenset[str]) -> Claims:
    said = {
        "creneau_role": person.role,
        "creneau_practitioner": person.practitioner,
        "creneau_organizations": list(person.organizations),
        "SubjectNameID": person.national_id,
    }
    name = {"name": person.name} if "profile" in scopes else {}
    return {**citizen_claims(person, scopes), **name, **{key: value for key, value in said.items() if value}}


def _professional_claims(person: Person, scopes: frozenset[str]) -> Claims:
    names = {
        "given_name": person.given_names,
        "family_name": person.family_name,
        "preferred_username": person.national_id,
        "SubjectNameID": person.national_id,
    }
    if "scope_all" not in scopes:
        return names
    first = person.exercises[0]
    return {
        **names,
        "SubjectOrganization": first.place,
        "SubjectOrganizationID": _structure(first),
        "SubjectRole": [f"{exercise.profession}^1.2.250.1.213.1.1.5.5" for exercise in person.exercises[:1]],
        "Secteur_Activite": "SA07^1.2.250.1.71.4.2.4",
        "PSI_Locale": "1.2.250.1.213.1.3.1.1",
        "Palier_Authentification": "APPPRIP3^1.2.250.1.213.1.5.1.1.1",
        "Mode_Acces_Raison": "",
        "Acces_Regulation_Medicale": "FAUX",
        "UITVersion": "1.0",
        "otherIds": [{"identifiant": person.national_id, "origine": "RPPS", "qualite": 1}],
        "SubjectRefPro": {"codeCivilite": "", "exercices": [_exercise(e, person) for e in person.exercises]},
    }


def _structure(exercise: Exercise) -> str:
    return f"1{exercise.finess}" if exercise.finess else f"3{exercise.siret}"


def _exercise(exercise: Exercise, person: Person) -> Claims:
    return {
        "codeProfession": exercise.profession,
        "codeCategorieProfessionnelle": "C",
        "nomDexercice": person.family_name,
        "prenomDexercice": person.given_names,
        "codeTypeSavoirFaire": "S" if exercise.specialty else "",
        "codeSavoirFaire": exercise.specialty,
        "activities": [
            {
                "codeModeExercice": "L",
                "codeSecteurDactivite": "SA07",
                "codeRole": "",
                "numeroFinessSite": exercise.finess,
                "numeroSiretSite": exercise.siret,
                "identifiantTechniqueDeLaStructure": _structure(exercise),
                "raisonSocialeSite": exercise.place,
            }
        ],
    }
