"""`_summary` and `_elements`: less of a resource, never without what changes its meaning."""

from __future__ import annotations

import pytest
from shared.tests.fhir.resources import appointment, patient

from creneau_shared.fhir.summary import SUBSETTED, select_elements, summarise
from creneau_shared.fhir.validation import validate

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'


def test_summary_true_keeps_summary_mandatory_and_modifier_elements() -> None:
    part = summarise(appointment(text={"status": "generated", "div": DIV}), "true")
    assert "comment" not in part
    assert "text" not in part
    assert "slot" not in part
    assert part["status"] == "booked"
    assert part["start"] == appointment()["start"]
    assert part["participant"] == appointment()["participant"]


def test_summary_cuts_inside_backbone_elements() -> None:
    participant = {"actor": {"reference": "Patient/1"}, "status": "accepted", "period": {"start": "2026"}}
    part = summarise(appointment(participant=[participant]), "true")
    assert part["participant"] == [{"actor": {"reference": "Patient/1"}, "status": "accepted"}]


def test_summary_text_and_data() -> None:
    whole = appointment(text={"status": "generated", "div": DIV})
    text = summarise(whole, "text")
    assert set(text) == {"resourceType", "id", "meta", "text", "status", "participant"}
    data = summarise(whole, "data")
    assert set(whole) - set(data) == {"text"}


def test_elements_keep_mandatory_and_modifiers() -> None:
    part = select_elements(
        patient(active=True, deceasedBoolean=False, _birthDate={"id": "x"}), {"birthDate", "x"}
    )
    assert set(part) == {"resourceType", "id", "meta", "active", "deceasedBoolean", "birthDate", "_birthDate"}
    assert "multipleBirthBoolean" in select_elements(patient(multipleBirthBoolean=True), {"multipleBirth"})


def test_part_is_tagged_once_and_the_whole_is_untouched() -> None:
    whole = appointment(meta={"versionId": "3", "tag": [{"code": "a"}]})
    part = summarise(summarise(whole, "data"), "true")
    assert part["meta"] == {"versionId": "3", "tag": [{"code": "a"}, SUBSETTED]}
    assert whole["meta"] == {"versionId": "3", "tag": [{"code": "a"}]}


def test_part_is_still_valid() -> None:
    """Mandatory elements stay, so what is returned is FHIR."""
    assert validate(summarise(appointment(), "true")) == []
    assert validate(select_elements(appointment(), {"start", "end"})) == []


INSURER = {"resourceType": "Organization", "id": "o1", "name": "Caisse", "partOf": {"reference": "#o2"}}
PARENT = {"resourceType": "Organization", "id": "o2", "name": "Caisse nationale"}
DOCTOR = {"resourceType": "Practitioner", "id": "p1", "name": [{"family": "Martin"}]}
CONTAINING = patient(
    contained=[INSURER, PARENT, DOCTOR],
    managingOrganization={"reference": "#o1"},
    generalPractitioner=[{"reference": "#p1"}],
)


@pytest.mark.parametrize(
    ("elements", "kept"),
    [
        ({"managingOrganization"}, ["o1", "o2"]),
        ({"generalPractitioner"}, ["p1"]),
        ({"generalPractitioner", "managingOrganization"}, ["o1", "o2", "p1"]),
        ({"birthDate"}, []),
        ({"contained", "birthDate"}, ["o1", "o2", "p1"]),
    ],
)
def test_what_is_kept_keeps_what_it_contains(elements: set[str], kept: list[str]) -> None:
    """No local reference points to nothing (ref-1), and what nothing points to any more goes (dom-3)."""
    part = select_elements(CONTAINING, elements)
    assert [resource["id"] for resource in part.get("contained", [])] == kept
    if "contained" not in elements:
        assert validate(part) == []


def test_summaries_keep_what_they_contain() -> None:
    """`_summary=true` shows the managing organisation, not the general practitioner."""
    part = summarise(CONTAINING, "true")
    assert [resource["id"] for resource in part["contained"]] == ["o1", "o2"]
    assert "generalPractitioner" not in part
    assert "contained" not in summarise(CONTAINING, "text")
    assert summarise(CONTAINING, "data")["contained"] == CONTAINING["contained"]
    assert validate(part) == []


def test_a_mandatory_element_keeps_what_it_contains() -> None:
    """Appointment.participant stays whatever is asked for, and with it the patient inside."""
    inside = {"resourceType": "Location", "id": "l1", "name": "Salle 2"}
    whole = appointment(
        contained=[inside],
        participant=[{"actor": {"reference": "#l1"}, "status": "accepted"}],
    )
    for part in (select_elements(whole, {"start", "end"}), summarise(whole, "true")):
        assert part["contained"] == [inside]
        assert validate(part) == []
