"""Who may do what, from the table and the principal alone: pure, and the least where nothing is said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creneau_shared.database.pool import Connection
from creneau_shared.errors import Forbidden, Unauthenticated
from creneau_shared.fhir.storage.store import WriteContext
from creneau_shared.security.access import AccessPolicy, Known
from creneau_shared.security.principal import (
    ANONYMOUS,
    ROLES,
    Action,
    ClaimNames,
    Principal,
    Role,
    Scope,
    principal_of,
)
from creneau_shared.security.rights import BY_LINK, MAY_ALL, OPEN, OWNER, SHARED, Rights
from creneau_shared.security.role_table import ACTIONS, STAFF, reach_of, require_told
from creneau_shared.type_table import PUBLIC, TYPES

EVERY_SCOPE = (Scope("system", "*", frozenset("cruds")),)
roles = st.sampled_from(get_args(Role))
types = st.sampled_from(sorted(TYPES))
actions = st.sampled_from(ACTIONS)


def holder(role: Role, scopes: tuple[Scope, ...] = EVERY_SCOPE, **more: object) -> Principal:
    return Principal("issuer", "someone", scopes, role=role, **more)  # type: ignore[arg-type]


def claims(**more: object) -> dict[str, object]:
    return {"iss": "https://issuer.example", "sub": "someone", "scope": "user/*.cruds", **more}


def test_every_type_has_its_rows() -> None:
    """A type that the base serves and the table does not know would be a type of which nobody has thought."""
    require_told(TYPES, ())
    with pytest.raises(ValueError, match=r"Basic, \$anything"):
        require_told(["Basic"], ["anything"])


@given(roles, types, actions)
def test_a_right_is_never_more_than_the_table_says(role: Role, kind: str, action: Action) -> None:
    """Whatever the token's scopes: they narrow what the role allows, and never widen it."""
    rights = Rights(ANONYMOUS if role == "public" else holder(role))
    reach = rights.reach(kind, action)
    assert reach is None or reach in {reach_of(role, kind, action), "public"}
    if reach_of(role, kind, action) == "none":
        assert reach is None


@given(roles.filter(lambda role: role != "public"), types, actions)
def test_a_token_for_one_appointment_reaches_it_and_what_is_public(
    role: Role, kind: str, action: Action
) -> None:
    """Whatever role and scopes it would have: the limit is in the rights, and so in every SQL made of them. What waits for
    an earlier time of the visit is within it."""
    limited = holder(role, appointment="visit-1", patient="12")
    mine, nobodys = Rights(limited, {"12": BY_LINK}), Rights(limited)
    for rights in (mine, nobodys):
        if rights.reach(kind, action) is not None:
            within = {"Appointment": "rsu", "AppointmentResponse": "c"}
            assert action in within.get(kind, "rs" if kind in PUBLIC else "")
    if mine.reach(kind, action) == "own":
        tied = {
            "Appointment": ("_id=visit-1", "~instead=Appointment/visit-1|Patient/12"),
            "AppointmentResponse": ("appointment=Appointment/visit-1",),
        }
        assert mine.access(kind, action).required == tied[kind]
        assert nobodys.access(kind, action).required == ()


@given(roles.filter(lambda role: role != "public"), types, actions)
def test_a_token_without_a_scope_has_what_the_public_has(role: Role, kind: str, action: Action) -> None:
    bare, public = Rights(holder(role, ())), Rights(ANONYMOUS)
    if public.reach(kind, action) is None:
        assert bare.reach(kind, action) is None


@given(st.sampled_from(STAFF), types, actions)
def test_staff_of_no_practice_is_the_public(role: Role, kind: str, action: Action) -> None:
    found, public = Rights(holder(role)).reach(kind, action), Rights(ANONYMOUS).reach(kind, action)
    assert found == public


@given(types, actions)
def test_an_operator_sees_nobodys_data(kind: str, action: Action) -> None:
    assert Rights(holder("operator")).reach(kind, action) == Rights(ANONYMOUS).reach(kind, action)


def test_a_patients_scope_makes_a_patient_of_anybody() -> None:
    """A professional at an app that was given patient scopes sees as a patient what the app may see."""
    narrowed = holder("practitioner", (Scope("patient", "Appointment", frozenset("rs")),))
    rights = Rights(narrowed, practices={"cabinet": MAY_ALL})
    assert rights.access("Appointment", "r").required == ()
    assert rights.access("Appointment", "r").patient_ids == frozenset()


@given(st.sampled_from(STAFF), types, actions)
def test_at_a_patients_app_a_professional_acts_for_nobody(role: Role, kind: str, action: Action) -> None:
    """What is about persons is neither theirs to make nor within reach, nor are they without limit because they have a
    practice."""
    rights = Rights(
        holder(role, (Scope("patient", "*", frozenset("cruds")),)), practices={"cabinet": MAY_ALL}
    )
    if reach_of("patient", kind, action) == "own":
        found = rights.reach(kind, action)
        assert found == (None if action == "c" else "own")
        assert found is None or rights.access(kind, action).patient_ids == frozenset()


def test_what_must_be_borne() -> None:
    """The terms in SQL: of oneself all, of a child what is shared; of practices their own; of slots what is public."""
    own = Rights(
        holder("patient"), people={"me": MAY_ALL, "child": frozenset({"see"})}, oneself=frozenset({"me"})
    )
    assert set(own.access("Appointment", "r").required or ()) == {"patient=Patient/me", f"{SHARED}child"}
    assert set(own.access("Patient", "s").required or ()) == {"_id=me", "_id=child"}
    assert own.access("Appointment", "c").patient_ids == frozenset({"me"}), "to see is not to book"
    assert own.access("AuditEvent", "s").required == ("patient=Patient/me",)
    staff = Rights(holder("secretary"), practices={"a": MAY_ALL, "b": frozenset({"see"})})
    assert staff.access("Appointment", "s").required == (f"{OWNER}a", f"{OWNER}b")
    assert staff.access("Appointment", "u").required == (f"{OWNER}a",)
    assert staff.access("Slot", "s").required == (OPEN, f"{OWNER}a", f"{OWNER}b")
    assert Rights(ANONYMOUS).access("Slot", "s").required == (OPEN,)
    assert Rights(ANONYMOUS).access("Practitioner", "r").required is None
    assert Rights(holder("system")).access("Appointment", "d").required is None


async def test_what_was_delegated_to_a_practice_is_not_its_own() -> None:
    """It is written for where it is named; what names nobody is of the practice that writes, and of no other."""

    async def delegated(connection: Connection, principal: Principal, now: datetime) -> Known:
        return Known(practices={"a": MAY_ALL, "b": MAY_ALL, "c": frozenset({"see"})})

    now, connection = datetime(2026, 11, 16, tzinfo=UTC), object()
    secretary = holder("secretary", organizations=frozenset({"a"}))
    rights = await AccessPolicy(delegated).rights(connection, secretary, now)  # type: ignore[arg-type]
    access = rights.access("Patient", "c")
    assert access.organizations == frozenset({"a", "b"})
    assert access.own_organizations == frozenset({"a"})
    context = WriteContext(
        now, organizations=access.organizations, own_organizations=access.own_organizations
    )
    for named, owners in (((), "a"), ("b", "b"), ("ab", "ab"), ("bc", "b"), ("c", "a"), ("d", "a")):
        assert context.owners(named) == set(owners)
    assert WriteContext(now).owners("bd") == {"b", "d"}, "who is not limited to practices"
    assert Rights(holder("system")).access("Patient", "c").own_organizations == frozenset()


def test_a_chain_leads_no_further_than_a_search() -> None:
    """What one cannot search, one cannot reach: such a type is there with no terms, which nothing bears."""
    required = Rights(ANONYMOUS).required()
    assert required["Patient"] == required["AuditEvent"] == ()
    assert "Organization" not in required
    assert required["Slot"] == (OPEN,)


def test_the_refusals_say_what_is_missing() -> None:
    with pytest.raises(Unauthenticated):
        Rights(ANONYMOUS).access("Patient", "r")
    with pytest.raises(Forbidden) as refused:
        Rights(holder("software")).access("Patient", "r")
    assert refused.value.issues[0].details_code == "no-practice"
    with pytest.raises(Unauthenticated):
        Rights(ANONYMOUS, anonymous_read=False).access("Slot", "s")


@given(st.sampled_from(sorted(ROLES)))
def test_the_issuer_says_the_role(role: str) -> None:
    assert principal_of(claims(creneau_role=role)).role == role
    assert principal_of(claims(rolle=role), ClaimNames(role="rolle")).role == role


@pytest.mark.parametrize(
    ("said", "role"),
    [
        ({}, "software"),
        ({"scope": "system/*.cruds"}, "software"),
        ({"scope": "patient/Patient.r"}, "patient"),
        ({"creneau_role": "root"}, "software"),
        ({"creneau_role": ["system"]}, "software"),
        ({"creneau_role": "public", "scope": "patient/Patient.r"}, "patient"),
        ({"SubjectNameID": "810000000001"}, "practitioner"),
    ],
)
def test_where_the_issuer_says_nothing_it_is_the_least(said: dict[str, object], role: str) -> None:
    """No scope makes anybody the deployment itself: only an issuer that says so."""
    assert principal_of(claims(**said)).role == role


@pytest.mark.parametrize("said", ["", " ", "\u200b", ["x"], {"a": 1}, 5, True])
def test_what_says_nothing_is_no_mandate(said: object) -> None:
    assert principal_of(claims(creneau_mandate=said)).mandate is None
    assert principal_of(claims(creneau_mandate=" M-12 ")).mandate == "M-12"


@pytest.mark.parametrize(
    "said", ["a b", ["a", "b"], "Organization/a,Organization/b", ["Organization/a", "b", "../x", ""]]
)
def test_organisations_in_every_spelling(said: object) -> None:
    assert principal_of(claims(creneau_organizations=said)).organizations == {"a", "b"}
