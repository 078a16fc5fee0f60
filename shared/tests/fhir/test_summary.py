"""`_summary` and `_elements`: less of a resource, never without what changes its meaning."""

from __future__ import annotations

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
