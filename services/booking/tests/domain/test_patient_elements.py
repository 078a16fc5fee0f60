"""The published list of what a patient may say of an appointment, and when."""

from __future__ import annotations

from typing import Any

import pytest
from services.booking.tests.telling import in_words

from creneau_booking.domain import patient_elements as elements
from creneau_booking.domain.patient_elements import CANCELATION_SYSTEM, HIDDEN_FROM_PROXIES, Phase
from creneau_shared.errors import Forbidden
from creneau_shared.fhir.terminology import display

HIDDEN = {"system": HIDDEN_FROM_PROXIES[0], "code": HIDDEN_FROM_PROXIES[1]}
BOOKED = {"resourceType": "Appointment", "id": "1", "status": "booked", "priority": 1, "comment": "a"}


def named(before: dict[str, Any], after: dict[str, Any], phase: Phase, *, moving: bool = False) -> list[str]:
    """The elements that a change is refused for."""
    try:
        with in_words():
            elements.require_changeable(before, after, phase, moving=moving)
    except Forbidden as refused:
        return [
            issue.expression[0].removeprefix("Appointment.")
            for issue in refused.issues
            if issue.details_code == "element-not-yours"
        ]
    return []


@pytest.mark.parametrize(
    ("status", "held", "shared", "phase"),
    [
        ("proposed", False, False, "request"),
        ("waitlist", False, False, "request"),
        ("pending", True, False, "held"),
        ("pending", False, False, "booked"),
        ("booked", False, False, "booked"),
        ("arrived", False, False, "closed"),
        ("cancelled", False, False, "closed"),
        ("proposed", False, True, "closed"),
        ("booked", False, True, "closed"),
    ],
)
def test_phases(status: Any, held: bool, shared: bool, phase: Phase) -> None:
    assert elements.phase_of(status, held=held, shared=shared) == phase


def test_everything_that_differs_is_named_set_changed_or_removed() -> None:
    after = {**BOOKED, "priority": 2, "created": "2020", "comment": "b"}
    assert named(BOOKED, after, "booked") == ["created", "priority"]
    del after["priority"]
    assert named(BOOKED, after, "booked") == ["created", "priority"]
    assert named(BOOKED, {**BOOKED, "comment": "b"}, "closed") == ["comment"]
    assert named(BOOKED, dict(BOOKED), "closed") == []


def test_what_belongs_to_asking_ends_with_the_booking() -> None:
    reasoned = {**BOOKED, "reasonCode": [{"text": "x"}]}
    typed = {**BOOKED, "serviceType": [{"text": "x"}]}
    assert [named(BOOKED, reasoned, phase) for phase in ("request", "held", "booked")] == [
        [],
        [],
        ["reasonCode"],
    ]
    assert [named(BOOKED, typed, phase) for phase in ("request", "held", "booked")] == [
        [],
        ["serviceType"],
        ["serviceType"],
    ]
    assert named(BOOKED, typed, "booked", moving=True) == []
    assert named(BOOKED, reasoned, "booked", moving=True) == ["reasonCode"]


@pytest.mark.parametrize(
    ("reason", "allowed"),
    [
        ({"coding": [{"system": CANCELATION_SYSTEM, "code": "pat-fb", "display": "x"}]}, True),
        ({"coding": [{"system": CANCELATION_SYSTEM, "code": "prov-pers"}]}, False),
        ({"coding": [{"system": CANCELATION_SYSTEM, "code": "pat"}], "text": "x"}, False),
        ({"text": "x"}, False),
    ],
)
def test_reasons_to_cancel(reason: dict[str, Any], allowed: bool) -> None:
    cancelled = {**BOOKED, "status": "cancelled", "cancelationReason": reason}
    assert named(BOOKED, cancelled, "booked") == ([] if allowed else ["cancelationReason"])
    kept = {**BOOKED, "cancelationReason": reason}
    assert named(BOOKED, kept, "booked") == ["cancelationReason"], "only with the cancellation itself"


def test_every_reason_is_a_code_of_hl7s() -> None:
    assert all(display(CANCELATION_SYSTEM, code) for code in elements.CANCELATION_REASONS)


def test_one_security_label_and_no_other() -> None:
    other = {"system": "urn:x", "code": "x"}
    marked = {**BOOKED, "meta": {"security": [other]}}
    assert named(marked, {**BOOKED, "meta": {"security": [other, HIDDEN]}}, "closed") == []
    assert named(marked, {**BOOKED, "meta": {"security": [HIDDEN]}}, "booked") == ["meta.security"]
    false = {**HIDDEN, "code": "OTHER"}
    assert named(BOOKED, {**BOOKED, "meta": {"security": [false]}}, "request") == ["meta.security"]
    assert named(BOOKED, {**BOOKED, "meta": {"tag": [HIDDEN]}}, "request") == ["meta.tag"]
    assert named(BOOKED, {**BOOKED, "meta": {"versionId": "9", "lastUpdated": "x"}}, "closed") == []


def test_silence_keeps_labels_profiles_and_tags() -> None:
    stored = {**BOOKED, "meta": {"versionId": "1", "tag": [HIDDEN], "profile": ["p"]}}
    assert elements.keeping_meta(stored, BOOKED)["meta"] == {"tag": [HIDDEN], "profile": ["p"]}
    assert elements.keeping_meta(stored, {**BOOKED, "meta": {"tag": []}})["meta"]["tag"] == []
    assert elements.keeping_meta(BOOKED, BOOKED) == BOOKED


def test_an_extension_is_never_a_patients_wherever_it_stands() -> None:
    said = [{"text": "x", "extension": [{"url": "u", "valueString": "x"}]}]
    for new, expected in (
        ({"extension": said}, "extension"),
        ({"modifierExtension": said}, "modifierExtension"),
        ({"_comment": {"extension": said}}, "_comment"),
        ({"reasonCode": said}, "reasonCode"),
        ({"reasonCode": [{"_text": {}}]}, "reasonCode"),
        ({"participant": [{"actor": {"extension": said}}]}, "participant[0]"),
    ):
        with pytest.raises(Forbidden) as refused, in_words():
            elements.require_sayable({"resourceType": "Appointment", "status": "proposed", **new})
        assert [issue.expression for issue in refused.value.issues] == [(f"Appointment.{expected}",)]
