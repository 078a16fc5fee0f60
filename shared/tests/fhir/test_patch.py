"""The three patch formats."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from shared.tests.fhir.resources import appointment, patient

from creneau_shared.errors import BadRequest, Unprocessable, UnsupportedMedia
from creneau_shared.fhir import json
from creneau_shared.fhir.patch import apply_patch
from creneau_shared.fhir.patch import json_patch as json_patch_format
from creneau_shared.fhir.xml import to_xml


def json_patch(resource: dict[str, Any], *operations: Any) -> dict[str, Any]:
    return apply_patch("application/json-patch+json", json.dumps(list(operations)), resource)


def operation(
    type_: str, path: str | None = None, value: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A FHIRPath Patch operation; `value` is the rest of the value part, `{"valueCode": "x"}`."""
    parts: list[dict[str, Any]] = [{"name": "type", "valueCode": type_}]
    if path is not None:
        parts.append({"name": "path", "valueString": path})
    if value is not None:
        parts.append({"name": "value", **value})
    for name, content in more.items():
        parts.append({"name": name, ("valueString" if isinstance(content, str) else "valueInteger"): content})
    return {"name": "operation", "part": parts}


def fhirpath_patch(resource: dict[str, Any], *operations: dict[str, Any]) -> dict[str, Any]:
    parameters = {"resourceType": "Parameters", "parameter": list(operations)}
    return apply_patch("application/fhir+json; charset=utf-8", json.dumps(parameters), resource)


def xml_patch(
    resource: dict[str, Any], content: str, root: str = '<diff xmlns="http://hl7.org/fhir">'
) -> dict[str, Any]:
    return apply_patch("application/xml-patch+xml", f"{root}{content}</diff>".encode(), resource)


CANCEL: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
    lambda resource: json_patch(resource, {"op": "replace", "path": "/status", "value": "cancelled"}),
    lambda resource: fhirpath_patch(
        resource, operation("replace", "Appointment.status", {"valueCode": "cancelled"})
    ),
    lambda resource: xml_patch(resource, '<replace sel="Appointment/status/@value">cancelled</replace>'),
    lambda resource: apply_patch(
        "application/fhir+xml",
        to_xml(
            {
                "resourceType": "Parameters",
                "parameter": [operation("replace", "Appointment.status", {"valueCode": "cancelled"})],
            }
        ),
        resource,
    ),
]


@pytest.mark.parametrize("cancel", CANCEL, ids=["json", "fhirpath", "xml", "fhirpath in xml"])
def test_cancel_in_every_format(cancel: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The exchange of ISiK, Argonaut and Oracle: cancelled, all else as before, the original untouched."""
    resource = appointment()
    before = copy.deepcopy(resource)
    assert cancel(resource) == appointment(status="cancelled")
    assert resource == before


def test_unknown_format_is_refused_with_those_that_are_read() -> None:
    with pytest.raises(UnsupportedMedia) as caught:
        apply_patch("application/merge-patch+json", b"{}", patient())
    assert "application/json-patch+json" in caught.value.headers["Accept-Patch"]


@pytest.mark.parametrize(
    "patched",
    [
        lambda: json_patch(patient(), {"op": "replace", "path": "/id", "value": "x"}),
        lambda: json_patch(patient(), {"op": "remove", "path": "/resourceType"}),
        lambda: json_patch(appointment(), {"op": "replace", "path": "/meta/versionId", "value": "9"}),
        lambda: fhirpath_patch(patient(), operation("replace", "Patient.id", {"valueId": "x"})),
        lambda: xml_patch(patient(), '<remove sel="Patient/id"/>'),
    ],
)
def test_identity_stays(patched: Callable[[], Any]) -> None:
    with pytest.raises(Unprocessable):
        patched()


# JSON Patch


def test_json_patch_is_all_or_nothing_and_names_the_operation() -> None:
    with pytest.raises(Unprocessable) as caught:
        json_patch(
            patient(),
            {"op": "replace", "path": "/gender", "value": "male"},
            {"op": "test", "path": "/birthDate", "value": "2000-01-01"},
        )
    assert "Operation 1" in caught.value.issues[0].en
    assert "Opération 1" in caught.value.issues[0].fr


def test_json_patch_removing_the_last_item_removes_the_element() -> None:
    assert json_patch(patient(), {"op": "remove", "path": "/name/0"}) == patient(name=None)


@pytest.mark.parametrize(
    ("operations", "error"),
    [
        ({"op": "remove", "path": "/x"}, BadRequest),
        ([{"op": "remove", "path": "/nothing"}], Unprocessable),
        ([{"op": "replace", "path": "/name/7/family", "value": "x"}], Unprocessable),
        ([{"op": "add", "path": "/gender/x", "value": "x"}], Unprocessable),
        ([{"op": "move", "from": "/x", "path": "/y"}], Unprocessable),
        ([{"op": "replace", "path": "", "value": []}], Unprocessable),
        ([{"op": "explode", "path": "/gender"}], BadRequest),
        ([{"op": "add", "path": "/gender"}], BadRequest),
        ([{"op": "add", "path": "gender", "value": "x"}], BadRequest),
        ([{"op": "add", "value": "x"}], BadRequest),
        (["x"], BadRequest),
        ([{"op": "test", "path": "/gender", "value": "female"}] * 1000, BadRequest),
        ([{"op": "copy", "from": "/name", "path": "/name/-"}] * 60, Unprocessable),
    ],
)
def test_json_patch_refused(operations: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        apply_patch("application/json-patch+json", json.dumps(operations), patient())


def nested(levels: int) -> dict[str, Any]:
    """Extensions within each other, so many."""
    extension: dict[str, Any] = {"url": "urn:x"}
    for _ in range(levels - 1):
        extension = {"url": "urn:x", "extension": [extension]}
    return extension


STEP = 48
"""levels of extensions that one operation can bring: a body has no more"""


def test_operation_after_operation_goes_only_so_deep() -> None:
    """Each by itself is as deep as a body may be; together they are deeper than anything can be read."""
    deep = [
        {"op": "add", "path": "/extension/0" * STEP * n + "/extension", "value": [nested(STEP)]}
        for n in range(30)
    ]
    doubled = [{"op": "add", "path": "/extension", "value": [nested(STEP)]}] + [
        {"op": "copy", "from": "/extension", "path": "/extension/0" * STEP * 2**n + "/extension"}
        for n in range(8)
    ]
    inwards = [
        operation("add", "Patient" + ".extension[0]" * n, {"valueString": "urn:x"}, name="extension")
        for n in range(150)
    ]
    for asked in (deep, doubled):
        with pytest.raises(Unprocessable) as refused:
            json_patch(patient(), *asked)
        assert refused.value.issues[0].details_code == "patch-inapplicable"
    with pytest.raises((BadRequest, Unprocessable)):
        fhirpath_patch(patient(), *inwards)


def test_what_a_patch_copies_is_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where each copy is taken away again; and only what is copied is measured, however large the resource is."""
    once = [{"op": "copy", "from": "/text", "path": "/extension"}, {"op": "remove", "path": "/extension"}]
    long = patient(text={"div": "x" * (json_patch_format.COPIED_BYTES_MAX // 10)})
    assert json_patch(long, *once * 9) == long
    with pytest.raises(Unprocessable) as refused:
        json_patch(long, *once * 10)
    assert refused.value.issues[0].details_code == "patch-inapplicable"

    measured: list[int] = []
    dumps = json.dumps

    def counted(value: Any) -> bytes:
        measured.append(len(dumps(value)))
        return dumps(value)

    monkeypatch.setattr(json, "dumps", counted)
    little = [{"op": "copy", "from": "/id", "path": f"/id{n}"} for n in range(200)]
    apply_patch("application/json-patch+json", dumps(little), long)
    assert sum(measured) < len(dumps(long))


# FHIRPath Patch


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([operation("add", "Patient", {"valueBoolean": True}, name="active")], patient(active=True)),
        (
            [operation("add", "Patient.name[0]", {"valueString": "Zoé"}, name="given")],
            patient(name=[{"family": "Martin", "given": ["Camille", "Anne", "Zoé"]}]),
        ),
        (
            [operation("add", "Patient", {"valueIdentifier": {"value": "1"}}, name="identifier")],
            patient(identifier=[{"value": "1"}]),
        ),
        (
            [operation("add", "Patient", {"valueDateTime": "2026"}, name="deceased")],
            patient(deceasedDateTime="2026"),
        ),
        (
            [operation("insert", "Patient.name.first().given", {"valueString": "Zoé"}, index=1)],
            patient(name=[{"family": "Martin", "given": ["Camille", "Zoé", "Anne"]}]),
        ),
        (
            [operation("move", "Patient.name[0].given", source=0, destination=1)],
            patient(name=[{"family": "Martin", "given": ["Anne", "Camille"]}]),
        ),
        (
            [operation("delete", "Patient.name.given.last()")],
            patient(name=[{"family": "Martin", "given": ["Camille"]}]),
        ),
        (
            [operation("delete", "Patient.name.where(family = 'Martin' and given[1] = 'Anne')")],
            patient(name=None),
        ),
        ([operation("delete", "Patient.contact")], patient()),
        (
            [operation("replace", "Patient.birthDate", {"valueDate": "1981-01-01"})],
            patient(birthDate="1981-01-01"),
        ),
        (
            [operation("replace", "Patient.name.where(family='Martin').family", {"valueString": "Durand"})],
            patient(name=[{"family": "Durand", "given": ["Camille", "Anne"]}]),
        ),
        (
            [
                operation(
                    "add",
                    "Patient",
                    {
                        "part": [
                            {"name": "name", "valueHumanName": {"text": "x"}},
                            {"name": "relationship", "valueCodeableConcept": {"text": "a"}},
                            {"name": "relationship", "valueCodeableConcept": {"text": "b"}},
                        ]
                    },
                    name="contact",
                )
            ],
            patient(contact=[{"name": {"text": "x"}, "relationship": [{"text": "a"}, {"text": "b"}]}]),
        ),
        (
            [
                operation(
                    "add",
                    "Patient.birthDate",
                    {"valueExtension": {"url": "u", "valueCode": "x"}},
                    name="extension",
                )
            ],
            patient(_birthDate={"extension": [{"url": "u", "valueCode": "x"}]}),
        ),
        (
            [
                operation("add", "Patient", {"part": [{"name": "url", "valueUri": "u"}]}, name="extension"),
                operation("add", "Patient.extension('u')", {"valueString": "v"}, name="value"),
            ],
            patient(extension=[{"url": "u", "valueString": "v"}]),
        ),
    ],
)
def test_fhirpath_patch(operations: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    assert fhirpath_patch(patient(), *operations) == expected


def test_choice_changes_its_type() -> None:
    resource = patient(deceasedBoolean=True)
    changed = fhirpath_patch(resource, operation("replace", "Patient.deceased", {"valueDateTime": "2026"}))
    assert changed == patient(deceasedDateTime="2026")
    assert fhirpath_patch(resource, operation("delete", "Patient.deceased.ofType(boolean)")) == patient()
    assert fhirpath_patch(resource, operation("delete", "Patient.deceased.ofType(dateTime)")) == resource


def test_participant_chosen_by_its_actor() -> None:
    patch = operation(
        "replace",
        "Appointment.participant.where(actor.reference = 'Patient/camille').status",
        {"valueCode": "declined"},
    )
    changed = fhirpath_patch(appointment(), patch)
    assert [participant["status"] for participant in changed["participant"]] == [
        "declined",
        "accepted",
        "accepted",
    ]


def test_lists_of_primitives_keep_their_extensions_in_place() -> None:
    beside = {"extension": [{"url": "u", "valueCode": "x"}]}
    resource = patient(name=[{"given": ["A", "B"], "_given": [None, beside]}])
    inserted = fhirpath_patch(
        resource, operation("insert", "Patient.name.given", {"valueString": "C"}, index=0)
    )
    assert inserted["name"] == [{"given": ["C", "A", "B"], "_given": [None, None, beside]}]
    deleted = fhirpath_patch(resource, operation("delete", "Patient.name.given[1]"))
    assert deleted["name"] == [{"given": ["A"]}]


@pytest.mark.parametrize(
    ("patch", "error"),
    [
        (
            operation("replace", "Patient.maritalStatus", {"valueCodeableConcept": {"text": "x"}}),
            Unprocessable,
        ),
        (operation("replace", "Patient.name.given", {"valueString": "x"}), Unprocessable),
        (operation("delete", "Patient.name.given"), Unprocessable),
        (operation("delete", "Patient"), Unprocessable),
        (operation("add", "Patient", {"valueCode": "male"}, name="gender"), Unprocessable),
        (operation("add", "Patient", {"valueCode": "x"}, name="nonsense"), Unprocessable),
        (operation("add", "Patient.contact", {"valueCode": "x"}, name="gender"), Unprocessable),
        (operation("insert", "Patient.name.given", {"valueString": "x"}, index=3), Unprocessable),
        (operation("insert", "Patient.gender", {"valueString": "x"}, index=0), Unprocessable),
        (operation("move", "Patient.name.given", source=0, destination=2), Unprocessable),
        (operation("insert", "Patient.name.given", {"valueString": "x"}), BadRequest),
        (operation("replace", "Patient.gender"), BadRequest),
        (operation("replace", None, {"valueCode": "x"}), BadRequest),
        (operation("explode", "Patient.gender"), BadRequest),
        (operation("delete", "Patient.name.iif(true, 1, 2)"), BadRequest),
        ({"name": "x"}, BadRequest),
    ],
)
def test_fhirpath_patch_refused(patch: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        fhirpath_patch(patient(), patch)
    assert "Operation 0" in caught.value.issues[0].en  # type: ignore[attr-defined]


def test_fhirpath_patch_is_a_parameters_resource() -> None:
    with pytest.raises(BadRequest):
        apply_patch("application/fhir+json", json.dumps(patient()), patient())


# XML Patch


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('<add sel="Patient/name"><given value="Zoé"/></add>', ["Camille", "Anne", "Zoé"]),
        (
            '<add sel="/f:Patient/f:name/f:given[1]" pos="before"><given value="Zoé"/></add>',
            ["Zoé", "Camille", "Anne"],
        ),
        (
            '<add sel="Patient/name/given[last()]" pos="after"><given value="Zoé"/></add>',
            ["Camille", "Anne", "Zoé"],
        ),
        ('<add sel="Patient/name/given[1]" type="@id">g</add>', ["Camille", "Anne"]),
        ("<remove sel=\"Patient/name/given[@value='Camille']\"/>", ["Anne"]),
        ('<replace sel="Patient/name/given[2]"><given value="Zoé"/></replace>', ["Camille", "Zoé"]),
        (
            "<replace sel=\"Patient/*[family/@value = 'Martin'][1]/given[ 2 ]/@value\">Zoé</replace>",
            ["Camille", "Zoé"],
        ),
        (
            "<replace sel=\"Patient/name[family/@value='Martin']/given[2]/@value\">Zoé</replace>",
            ["Camille", "Zoé"],
        ),
    ],
)
def test_xml_patch(content: str, expected: list[str]) -> None:
    assert xml_patch(patient(), content)["name"][0]["given"] == expected


@pytest.mark.parametrize(
    "content",
    [
        '<remove sel="Patient/text/h:div/*"/>',
        '<remove sel="Patient/text/h:div/*[1]"/>',
        '<remove sel="Patient/text/*/*[last()]"/>',
    ],
)
def test_what_an_xml_patch_means_by_any_is_an_element(content: str) -> None:
    """A comment and a processing instruction are none."""
    xhtml = "http://www.w3.org/1999/xhtml"
    narrative = f'<div xmlns="{xhtml}"><!-- c --><p>a</p><?x y?></div>'
    said = {**patient(), "text": {"status": "generated", "div": narrative}}
    root = f'<diff xmlns="http://hl7.org/fhir" xmlns:h="{xhtml}">'
    assert xml_patch(said, content, root=root)["text"]["div"] == narrative.replace("<p>a</p>", "")


def test_xml_patch_in_a_document_without_namespace() -> None:
    changed = xml_patch(patient(), '<add sel="Patient/name"><given value="Zoé"/></add>', root="<diff>")
    assert changed["name"][0]["given"][-1] == "Zoé"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ('<remove sel="Patient/name/given"/>', Unprocessable),
        ('<remove sel="Patient/photo"/>', Unprocessable),
        ('<remove sel="Patient"/>', Unprocessable),
        ('<remove sel="1 + 1"/>', BadRequest),
        ('<remove sel="Patient["/>', BadRequest),
        ('<remove sel="//gender"/>', BadRequest),
        ('<remove sel="Patient/name[0]"/>', BadRequest),
        ('<remove sel="Patient/child::gender"/>', BadRequest),
        ('<remove sel="Patient/gender[count(.)]"/>', BadRequest),
        ('<remove sel="Patient/gender[1 = 1]"/>', BadRequest),
        ("<remove sel=\"Patient/name[given[@value='Anne']/@value='Anne']\"/>", BadRequest),
        ('<remove sel="Patient/unknown:gender"/>', BadRequest),
        ('<remove sel="Patient/gender | Patient/active"/>', BadRequest),
        (f'<remove sel="Patient{"/name" * 200}"/>', BadRequest),
        ("<remove/>", BadRequest),
        ('<rename sel="Patient"/>', BadRequest),
        ('<add sel="Patient"/>', BadRequest),
        ('<add sel="Patient" pos="inside"><active value="true"/></add>', BadRequest),
        ('<add sel="Patient"><nonsense/></add>', BadRequest),
        ('<add sel="Patient/gender/@value">x</add>', BadRequest),
        ('<add sel="Patient" type="@1x">x</add>', BadRequest),
        ('<add sel="Patient" type="@a:b">x</add>', BadRequest),
        ('<add sel="Patient" type="@">x</add>', BadRequest),
    ],
)
def test_xml_patch_refused(content: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        xml_patch(patient(), content)
