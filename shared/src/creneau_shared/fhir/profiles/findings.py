"""The issues for a resource that breaks a profile: one sentence in each language, with the element."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from creneau_shared.errors import Issue
from creneau_shared.fhir.findings import quote


def _finding(code: str, profile: str, path: str, fr: str, en: str) -> Issue:
    return Issue(
        code,
        f"{path} : {fr} (profil {profile}).",
        f"{path}: {en} (profile {profile}).",
        (path,),
        details_code="profile",
    )


def too_few(profile: str, path: str, wanted: int, found: int, slice_name: str | None) -> Issue:
    of_fr = f" de la tranche « {slice_name} »" if slice_name else ""
    of_en = f" of the slice “{slice_name}”" if slice_name else ""
    if wanted == 1:
        return _finding(
            "required", profile, path, f"un élément{of_fr} est obligatoire", f"an element{of_en} is required"
        )
    return _finding(
        "required",
        profile,
        path,
        f"au moins {wanted} éléments{of_fr} sont attendus, {found} trouvés",
        f"at least {wanted} elements{of_en} are expected, {found} found",
    )


def too_many(profile: str, path: str, allowed: int, found: int, slice_name: str | None) -> Issue:
    of_fr = f" de la tranche « {slice_name} »" if slice_name else ""
    of_en = f" of the slice “{slice_name}”" if slice_name else ""
    if allowed == 0:
        return _finding("structure", profile, path, f"élément{of_fr} interdit", f"element{of_en} not allowed")
    return _finding(
        "structure",
        profile,
        path,
        f"{allowed} élément{of_fr} au plus, {found} trouvés",
        f"at most {allowed} element{of_en}, {found} found",
    )


def other_value(profile: str, path: str, wanted: Any) -> Issue:
    shown = quote(_said(wanted))
    return _finding("value", profile, path, f"« {shown} » est attendu", f"“{shown}” is expected")


def _name(value_set: str) -> str:
    return value_set.partition("|")[0].rsplit("/", 1)[-1]


def words_only(profile: str, path: str, value_set: str) -> Issue:
    """A warning for a concept in words only: the words are stored, but no search finds them."""
    name = _name(value_set)
    found = _finding(
        "code-invalid",
        profile,
        path,
        f"du texte seul ; un code du jeu de valeurs {name} permettrait de le chercher",
        f"words only; with a code of the value set {name} it could be searched for",
    )
    return replace(found, severity="warning")


def outside_value_set(profile: str, path: str, value_set: str) -> Issue:
    name = _name(value_set)
    return _finding(
        "code-invalid",
        profile,
        path,
        f"un code du jeu de valeurs {name} est attendu",
        f"a code of the value set {name} is expected",
    )


def other_type(profile: str, path: str, wanted: str) -> Issue:
    return _finding(
        "structure", profile, path, f"le type attendu est {wanted}", f"the expected type is {wanted}"
    )


def other_target(profile: str, path: str, wanted: str) -> Issue:
    return _finding(
        "value",
        profile,
        path,
        f"la référence doit désigner {wanted}",
        f"the reference must point to {wanted}",
    )


def other_aggregation(profile: str, path: str, *, contained: bool) -> Issue:
    return _finding(
        "value",
        profile,
        path,
        "la ressource désignée doit être contenue (#id)"
        if contained
        else "la ressource désignée ne doit pas être contenue",
        "the resource referred to must be contained (#id)"
        if contained
        else "the resource referred to must not be contained",
    )


def too_long(profile: str, path: str, allowed: int) -> Issue:
    return _finding("value", profile, path, f"{allowed} caractères au plus", f"at most {allowed} characters")


def no_slice(profile: str, path: str) -> Issue:
    return _finding(
        "structure",
        profile,
        path,
        "cet élément n'est d'aucune des tranches permises",
        "this element belongs to none of the slices that are allowed",
    )


def misplaced_extension(extension: str, path: str, contexts: str) -> Issue:
    return _finding(
        "extension",
        extension,
        path,
        f"cette extension se place dans {contexts}",
        f"this extension belongs in {contexts}",
    )


def other_base(profile: str, resource_type: str, wanted: str) -> Issue:
    return _finding(
        "structure",
        profile,
        resource_type,
        f"ce profil est celui du type {wanted}",
        f"this profile is one of {wanted}",
    )


def _said(value: Any) -> str:
    """A fixed value or a pattern in few words: codes as `system|code`."""
    if not isinstance(value, dict):
        return str(value)
    if "coding" in value:
        return ", ".join(_said(coding) for coding in value["coding"])
    if "code" in value:
        return f"{value.get('system', '')}|{value['code']}"
    return ", ".join(f"{name} : {_said(part)}" for name, part in value.items())
