"""What a patient's account may say of its own Patient."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.booking.tests.telling import in_words

from creneau_booking.domain.own_words import BIRTH_PLACE, OWN, RELIABILITY, require_own_words
from creneau_shared.errors import Forbidden
from creneau_shared.fhir.definitions import type_definition


def elements() -> list[str]:
    """Every element of Patient, as its definition has them."""
    return sorted(type_definition("Patient").by_name)


BASE = {
    "resourceType": "Patient",
    "id": "a",
    "meta": {"versionId": "1", "lastUpdated": "2026-11-16T08:00:00Z"},
    "name": [{"use": "official", "family": "Exemple"}, {"use": "usual", "text": "Cam"}],
    "birthDate": "1990-01-01",
    "gender": "female",
}
VALI = {
    "url": RELIABILITY,
    "extension": [{"url": "identityStatus", "valueCoding": {"code": "VALI"}}],
}


def refused(before: dict[str, Any] | None, after: dict[str, Any]) -> list[str]:
    try:
        with in_words():
            require_own_words(before, after)
    except Forbidden as error:
        return [issue.expression[0] for issue in error.issues]
    return []


@pytest.mark.parametrize("element", OWN)
def test_ones_own_words_are_stated_and_changed(element: str) -> None:
    assert refused(BASE, {**BASE, element: "changed"}) == []
    assert refused(None, {**BASE, element: "said"}) == []


@pytest.mark.parametrize(
    "element",
    [
        "identifier",
        "active",
        "deceasedBoolean",
        "deceasedDateTime",
        "link",
        "managingOrganization",
        "generalPractitioner",
        "multipleBirthBoolean",
        "photo",
        "maritalStatus",
        "contained",
        "modifierExtension",
        "implicitRules",
    ],
)
@pytest.mark.parametrize("underscore", ["", "_"])
def test_the_rest_is_the_staffs(element: str, underscore: str) -> None:
    """Stated, changed or taken away; by the element or by the extensions of its value."""
    name, expected = underscore + element, [f"Patient.{element}"]
    said = {**BASE, name: [{"a": "b"}]}
    assert refused(None, said) == expected
    assert refused(BASE, said) == expected
    assert refused(said, {**said, name: [{"a": "c"}]}) == expected
    assert refused(said, BASE) == expected
    assert refused(said, {**said, "telecom": []}) == []


@given(st.dictionaries(st.sampled_from(elements()), st.text(), max_size=4))
def test_of_every_element_of_the_type_only_the_list_is_open(added: dict[str, str]) -> None:
    """An element that a later version of FHIR brings is closed until it is put on the list."""
    objects = {name for name in added if name in ("meta", "extension", "id", "resourceType", "name")}
    members = {name: value for name, value in added.items() if name not in objects}
    changed = {name for name, value in members.items() if BASE.get(name) != value}
    assert set(refused(BASE, {**BASE, **members})) == {f"Patient.{name}" for name in changed - set(OWN)}


@pytest.mark.parametrize("part", ["security", "tag", "source"])
def test_labels_are_not_the_accounts(part: str) -> None:
    said = {**BASE, "meta": {part: [{"code": "x"}]}}
    assert refused(None, said) == [f"Patient.meta.{part}"]
    assert refused(said, BASE) == [f"Patient.meta.{part}"]
    assert refused(None, {**BASE, "meta": {"profile": ["https://example.org/p"]}}) == []


def test_what_goes_without_saying_may_be_said() -> None:
    assert refused(None, {**BASE, "active": True, "deceasedBoolean": False}) == []
    assert refused({**BASE, "active": True}, BASE) == []
    assert refused({**BASE, "active": False}, BASE) == ["Patient.active"]


def test_how_reliable_an_identity_is_nobody_says_of_themselves() -> None:
    assert refused(None, {**BASE, "extension": [VALI]}) == ["Patient.extension"]
    assert refused({**BASE, "extension": [VALI]}, BASE) == ["Patient.extension"]
    assert refused(BASE, {**BASE, "extension": [{"url": BIRTH_PLACE}]}) == []


@pytest.mark.parametrize(
    ("member", "value", "expected"),
    [
        ("birthDate", "1991-01-01", ["Patient.birthDate"]),
        ("gender", "male", ["Patient.gender"]),
        ("name", [{"use": "official", "family": "Autre"}], ["Patient.name"]),
        ("name", [{"use": "official", "family": "Exemple"}, {"use": "usual", "text": "Camille"}], []),
        ("telecom", [{"system": "email", "value": "c@exemple.fr"}], []),
        ("extension", [VALI, {"url": BIRTH_PLACE}], ["Patient.extension"]),
    ],
)
def test_what_staff_have_verified_stays(member: str, value: Any, expected: list[str]) -> None:
    before = {**BASE, "extension": [VALI]}
    assert refused(before, {**before, member: value}) == expected
