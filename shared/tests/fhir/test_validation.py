"""The validator: what it refuses, how it says so, and that nothing but a CreneauError comes out of it."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.tests.fhir.resources import appointment, organization, patient, slot

from creneau_shared.errors import BadRequest, CreneauError, Unprocessable
from creneau_shared.fhir import json
from creneau_shared.fhir.definitions import type_definition
from creneau_shared.fhir.validation import ISSUES_MAX, NESTING_MAX, check, validate

UNKNOWN = {"extension": [{"url": "u", "valueCode": "unknown"}]}
"""beside a primitive, or instead of its value"""

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'


def found(resource: Any, expected_type: str | None = None) -> set[tuple[str, str]]:
    """(code, expression) of every issue."""
    return {(issue.code, "".join(issue.expression)) for issue in validate(resource, expected_type)}


def details(resource: Any) -> set[str | None]:
    return {issue.details_code for issue in validate(resource)}


def test_good_resources_have_no_issue() -> None:
    for resource in (appointment(), patient(), organization()):
        assert validate(resource) == []
        check(resource, resource["resourceType"])


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (appointment(status=None), ("required", "Appointment.status")),
        (appointment(status=None, _status=UNKNOWN), ("not-supported", "Appointment.status")),
        (
            appointment(participant=[{"actor": {"display": "x"}, "_status": UNKNOWN}]),
            ("not-supported", "Appointment.participant[0].status"),
        ),
        (slot(start=None, _start=UNKNOWN), ("not-supported", "Slot.start")),
        (slot(end=None, _end=UNKNOWN), ("not-supported", "Slot.end")),
        (slot(status=None, _status=UNKNOWN), ("not-supported", "Slot.status")),
        (
            {
                "resourceType": "AppointmentResponse",
                "appointment": {"reference": "Appointment/1"},
                "actor": {"reference": "Patient/1"},
                "_participantStatus": UNKNOWN,
            },
            ("not-supported", "AppointmentResponse.participantStatus"),
        ),
        (
            {
                "resourceType": "Bundle",
                "type": "batch",
                "entry": [{"request": {"_method": UNKNOWN, "url": "Slot"}}],
            },
            ("not-supported", "Bundle.entry[0].request.method"),
        ),
        (
            {
                "resourceType": "Bundle",
                "type": "batch",
                "entry": [{"request": {"method": "GET", "_url": UNKNOWN}}],
            },
            ("not-supported", "Bundle.entry[0].request.url"),
        ),
        (patient(link=[{"other": {"reference": "Patient/1"}, "_type": UNKNOWN}]), None),
        (
            patient(extension=[{"_url": UNKNOWN, "valueString": "x"}]),
            ("structure", "Patient.extension[0].url"),
        ),
        (
            patient(extension=[{"url": "u", "_url": UNKNOWN, "valueString": "x"}]),
            ("structure", "Patient.extension[0].url"),
        ),
        (patient(name=[{"_id": UNKNOWN, "family": "x"}]), ("structure", "Patient.name[0].id")),
        (patient(_id=UNKNOWN), None),
        (appointment(status="banana"), ("code-invalid", "Appointment.status")),
        (appointment(status=["booked"]), ("structure", "Appointment.status")),
        (appointment(status=1), ("structure", "Appointment.status")),
        (appointment(comment=""), ("structure", "Appointment.comment")),
        (appointment(comment="a\x00b"), ("value", "Appointment.comment")),
        (appointment(identifier={}), ("structure", "Appointment.identifier")),
        (appointment(identifier=[{}]), ("structure", "Appointment.identifier[0]")),
        (appointment(identifier=[[]]), ("structure", "Appointment.identifier[0]")),
        (appointment(meta=[{"versionId": "1"}]), ("structure", "Appointment.meta")),
        (appointment(minutesDuration="20"), ("structure", "Appointment.minutesDuration")),
        (appointment(minutesDuration=0), ("value", "Appointment.minutesDuration")),
        (appointment(minutesDuration=True), ("structure", "Appointment.minutesDuration")),
        (appointment(id="a b"), ("value", "Appointment.id")),
        (appointment(start="2026-12-01T08:00:00"), ("value", "Appointment.start")),
        (appointment(created="2026-02-30"), ("value", "Appointment.created")),
        (appointment(slots=[]), ("structure", "Appointment.slots")),
        (appointment(fhir_comments=["x"]), ("structure", "Appointment.fhir_comments")),
        (appointment(_participant=[{}]), ("structure", "Appointment._participant")),
        (appointment(implicitRules="urn:x"), ("not-supported", "Appointment.implicitRules")),
        (
            appointment(modifierExtension=[{"url": "urn:x", "valueBoolean": True}]),
            ("extension", "Appointment.modifierExtension[0]"),
        ),
        (patient(active="true"), ("structure", "Patient.active")),
        (patient(deceasedBoolean=True, deceasedDateTime="2026"), ("structure", "Patient.deceased")),
        (patient(deceasedBoolean="x"), ("structure", "Patient.deceased")),
        (
            patient(extension=[{"url": "u", "valueString": "a", "valueCode": "b"}]),
            ("structure", "Patient.extension[0].value"),
        ),
        (patient(extension=[{"valueString": "a"}]), ("required", "Patient.extension[0].url")),
        (patient(extension=[{"url": "u"}]), ("invariant", "Patient.extension[0]")),
        (
            patient(extension=[{"url": "u", "valueRatioRange": {}}]),
            ("structure", "Patient.extension[0].valueRatioRange"),
        ),
        (patient(_birthDate={"extension": [{"url": "u"}]}), ("invariant", "Patient.birthDate.extension[0]")),
        (patient(_birthDate={"value": 1}), ("structure", "Patient.birthDate.value")),
        (patient(_birthDate={"id": "x"}), None),
        (patient(birthDate=None, _birthDate={"id": "x"}), ("invariant", "Patient.birthDate")),
        (patient(name=[{"id": "x"}]), ("invariant", "Patient.name[0]")),
        (patient(text={"status": "generated"}), ("required", "Patient.text.`div`")),
    ],
)
def test_finding_names_code_and_place(resource: dict[str, Any], expected: tuple[str, str] | None) -> None:
    """Each broken rule is found at its FHIRPath, and nothing else is."""
    assert found(resource) == ({expected} if expected else set())


@pytest.mark.parametrize(
    ("given_names", "beside", "expected"),
    [
        (["A", None], [None, {"extension": [{"url": "u", "valueCode": "x"}]}], set()),
        (["A", None], None, {("structure", "Patient.name[0].given[1]")}),
        (["A", None], [None, None], {("structure", "Patient.name[0].given[1]")}),
        (
            ["A"],
            [None, {"id": "x"}],
            {("structure", "Patient.name[0].given"), ("invariant", "Patient.name[0].given[1]")},
        ),
        (None, [None], {("structure", "Patient.name[0].given[0]")}),
        (["A"], {"id": "x"}, {("structure", "Patient.name[0].given")}),
        (["A"], [], {("structure", "Patient.name[0].given")}),
        (["A"], [None], {("structure", "Patient.name[0].given")}),
        (["A", "B"], [None, None], {("structure", "Patient.name[0].given")}),
        (["A", "B"], [None, {"id": "x"}], set()),
    ],
)
def test_lists_of_primitives_run_beside_their_extensions(
    given_names: Any, beside: Any, expected: set[tuple[str, str]]
) -> None:
    name = {
        key: value for key, value in {"given": given_names, "_given": beside}.items() if value is not None
    }
    assert found(patient(name=[name])) == expected


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("Slot/1", None),
        ("Slot/1/_history/2", None),
        ("https://autre.example/fhir/Slot/1", None),
        ("https://autre.example/creneaux?id=1", None),
        ("urn:uuid:c757873d-ec9a-4326-a141-556f43239520", None),
        ("Patient/1", "value"),
        ("https://autre.example/fhir/Patient/1", "value"),
        ("Banana/1", "value"),
        ("1", "value"),
        ("Slot?identifier=x", "value"),
        ("#nobody", "invariant"),
        ("#", "value"),
    ],
)
def test_reference_form_and_target(reference: str, code: str | None) -> None:
    expected = {(code, "Appointment.slot[0].reference")} if code else set()
    assert found(appointment(slot=[{"reference": reference}])) == expected


def test_reference_type_must_be_a_target() -> None:
    assert found(appointment(slot=[{"type": "Patient", "display": "x"}])) == {
        ("value", "Appointment.slot[0].type")
    }


def test_any_resource_may_be_supporting_information() -> None:
    assert validate(appointment(supportingInformation=[{"reference": "DocumentReference/1"}])) == []


def contained(**changes: Any) -> dict[str, Any]:
    slot = {
        "resourceType": "Slot",
        "id": "s",
        "schedule": {"reference": "Schedule/1"},
        "status": "free",
        "start": "2026-12-01T08:00:00+01:00",
        "end": "2026-12-01T08:20:00+01:00",
    }
    return slot | changes


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (appointment(contained=[contained()], slot=[{"reference": "#s"}]), set()),
        (appointment(contained=[contained()]), {("invariant", "Appointment")}),
        (
            appointment(contained=[patient(id="s")], slot=[{"reference": "#s"}]),
            {("value", "Appointment.slot[0].reference")},
        ),
        (
            appointment(contained=[contained(status="x")], slot=[{"reference": "#s"}]),
            {("code-invalid", "Appointment.contained[0].status")},
        ),
        (
            appointment(contained=[contained(meta={"versionId": "1"})], slot=[{"reference": "#s"}]),
            {("invariant", "Appointment.contained[0]")},
        ),
        (
            appointment(contained=[{"id": "s"}], slot=[{"reference": "#s"}]),
            {("structure", "Appointment.contained[0]")},
        ),
    ],
)
def test_contained_resources(resource: dict[str, Any], expected: set[tuple[str, str]]) -> None:
    assert found(resource) == expected


def test_contained_in_contained_and_labels_are_named() -> None:
    inner = contained(contained=[patient(id="p")], meta={"security": [{"code": "R"}]})
    assert {"dom-2", "dom-5"} <= details(appointment(contained=[inner], slot=[{"reference": "#s"}]))


def test_conditional_reference_is_for_transactions() -> None:
    entry = {
        "resource": appointment(slot=[{"reference": "Slot?identifier=x"}]),
        "request": {"method": "POST", "url": "Appointment"},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert validate(bundle) == []
    assert found(bundle | {"type": "batch"}) == {("value", "Bundle.entry[0].resource.slot[0].reference")}


def test_resources_in_a_bundle_are_walked_with_their_own_contained() -> None:
    first = appointment(contained=[contained()], slot=[{"reference": "#s"}])
    second = appointment(slot=[{"reference": "#s"}])
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": first}, {"resource": second}],
    }
    assert found(bundle) == {("invariant", "Bundle.entry[1].resource.slot[0].reference")}


@pytest.mark.parametrize(
    ("div", "rule"),
    [
        (f"<div {XHTML}><p>Bonjour</p></div>", None),
        (f"<div {XHTML}><!-- note --><a href='https://a.example'>x</a></div>", None),
        ("<h:div xmlns:h='http://www.w3.org/1999/xhtml'>x</h:div>", None),
        ("<div>x</div>", "txt-1"),
        (f"<p {XHTML}>x</p>", "txt-1"),
        (f"<div {XHTML}>x</div><div {XHTML}>y</div>", "txt-1"),
        (f"<div {XHTML}>x", "txt-1"),
        (f"<?xml version='1.0'?><div {XHTML}>x</div>", "txt-1"),
        (f"<?xml version='1.0' encoding='UTF-8'?><div {XHTML}>x</div>", "txt-1"),
        (f"<?xml-stylesheet href='x'?><div {XHTML}>x</div>", "txt-1"),
        (f"<!-- x --><?x y?><div {XHTML}>x</div>", "txt-1"),
        (f"<div {XHTML}>x</div><?x y?>", "txt-1"),
        (f"<div {XHTML}>&nbsp;</div>", "txt-1"),
        (f"<!DOCTYPE div><div {XHTML}>x</div>", "txt-1"),
        (f"<div {XHTML}><script>x</script></div>", "txt-1"),
        (f"<div {XHTML} onclick='x()'>x</div>", "txt-1"),
        (f"<div {XHTML}><a href=' java&#10;script:x'>x</a></div>", "txt-1"),
        (f"<div {XHTML}><img src='data:image/svg+xml,x'/></div>", "txt-1"),
        (f"<div {XHTML}><?php x ?>x</div>", "txt-1"),
        (f"<div {XHTML}> </div>", "txt-2"),
    ],
)
def test_narrative(div: str, rule: str | None) -> None:
    resource = patient(text={"status": "generated", "div": div})
    assert details(resource) == ({rule} if rule else set())


@pytest.mark.parametrize(
    ("resource", "expected_type", "code"),
    [
        ({}, None, "structure"),
        ({"resourceType": "Banana"}, None, "structure"),
        ({"resourceType": "Citation"}, None, "structure"),
        ({"resourceType": 3}, None, "structure"),
        (patient(), "Appointment", "invalid"),
        ([], "Appointment", "structure"),
        (None, None, "structure"),
    ],
)
def test_type_of_the_resource(resource: Any, expected_type: str | None, code: str) -> None:
    assert {issue.code for issue in validate(resource, expected_type)} == {code}


def test_later_spelling_and_close_match_are_hinted() -> None:
    (later,) = validate(appointment(cancellationReason={"text": "x"}))
    assert "cancelationReason" in later.fr
    assert "cancelationReason" in later.en
    (close,) = validate(appointment(desciption="x"))
    assert "“description”" in close.en


def test_one_error_carries_everything() -> None:
    """The client learns all at once: 400 as soon as one issue is structural."""
    with pytest.raises(BadRequest) as caught:
        check(appointment(status="banana", end=None, slot=[{"reference": "Patient/1"}]))
    assert {issue.details_code for issue in caught.value.issues} == {
        "required-binding",
        "app-2",
        "app-3",
        "reference-target",
    }


def test_invariants_alone_are_unprocessable() -> None:
    with pytest.raises(Unprocessable) as caught:
        check(appointment(end=None))
    assert {issue.details_code for issue in caught.value.issues} == {"app-2", "app-3"}


def test_issues_are_capped() -> None:
    issues = validate(appointment(**{f"x{number}": 1 for number in range(200)}))
    assert len(issues) == ISSUES_MAX + 1
    assert issues[-1].severity == "information"


def test_free_text_is_not_repeated() -> None:
    """What a patient wrote must not reach a log through an error."""
    (issue,) = validate(appointment(comment="secret\x00"))
    assert "secret" not in issue.fr + issue.en


def test_depth_is_an_issue_not_a_crash() -> None:
    extension: dict[str, Any] = {"url": "u", "valueBoolean": True}
    for _ in range(3000):
        extension = {"url": "u", "extension": [extension]}
    assert validate(patient(extension=[extension]))


def nested(levels: int) -> dict[str, Any]:
    """Extensions within each other, so many."""
    extension: dict[str, Any] = {"url": "urn:x", "valueString": "x"}
    for _ in range(levels - 1):
        extension = {"url": "urn:x", "extension": [extension]}
    return extension


def test_what_is_accepted_can_be_read_again_whatever_stands_around_it() -> None:
    """As deep as it may be, a resource leaves room for a page of a search in the answer of a batch; and XML and patches,
    which count otherwise, bring nothing deeper."""
    deepest = appointment(extension=[nested(NESTING_MAX - 1)])
    check(deepest)
    page = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": deepest}]}
    batch = {"resourceType": "Bundle", "type": "batch-response", "entry": [{"resource": page}]}
    assert json.loads_sent(json.dumps(batch)) == batch
    check(page)

    deeper = appointment(identifier=[{"value": "x", "extension": [nested(NESTING_MAX - 1)]}])
    with pytest.raises(Unprocessable) as refused:
        check(deeper)
    [issue] = refused.value.issues
    assert (issue.code, issue.details_code) == ("too-long", "nesting")
    assert issue.expression[0].startswith("Appointment.identifier[0].extension[0].extension[0]")
    assert str(NESTING_MAX) in issue.en
    assert str(NESTING_MAX) in issue.fr


def test_nothing_is_changed() -> None:
    resource = appointment(comment=" ", status="banana")
    before = copy.deepcopy(resource)
    validate(resource)
    assert resource == before


names = st.sampled_from(
    [
        element.name
        for name in ("Appointment", "Reference", "Extension", "Period")
        for element in type_definition(name).elements
    ]
    + ["resourceType", "_status", "_start", "x", ""]
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals()
    | st.text(max_size=8)
    | st.sampled_from(["Appointment", "#x", "Patient/1", "2026-01-01T00:00:00Z", "booked"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=20,
)


@given(anything)
def test_only_our_errors_come_out(value: Any) -> None:
    resource = value | {"resourceType": "Appointment"} if isinstance(value, dict) else value
    with contextlib.suppress(CreneauError):
        check(resource)
    assert all(issue.fr and issue.en for issue in validate(resource))


@given(st.sampled_from(sorted(appointment())), anything)
def test_one_element_replaced_by_anything(name: str, value: Any) -> None:
    """Whatever stands in one element, the issues are about that element, the type or a rule of the whole."""
    for issue in validate(appointment(**{name: value})):
        path = issue.expression[0]
        assert (
            name in path
            or path in ("Appointment", "Resource", "Appointment.participant[0]")
            or issue.code == "invalid"
        )
