"""The terminology operations, asked as a client asks them; over HTTP see tests/conformance."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from creneau_shared.errors import BadRequest, NotFound
from creneau_shared.fhir.outcome import Language
from creneau_shared.fhir.terminology import code_systems
from creneau_shared.fhir.terminology.operations import OPERATIONS, Call
from creneau_shared.fhir.validation import validate

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
REASONS = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
SPECIALTIES = "https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"
BOOKABLE = "https://creneau.sante.fr/fhir/ValueSet/bookable-specialty"
ISSUES = "https://creneau.sante.fr/fhir/CodeSystem/issue"


def ask(address: str, *, id_: str | None = None, language: Language = "fr", **entries: Any) -> dict[str, Any]:
    """The answer to `Type/$code`; what is asked is valid R4 whatever it says."""
    kind, _, code = address.partition("/$")
    pairs = [(name.rstrip("_"), value) for name, value in entries.items()]
    answer = OPERATIONS[kind, code].answer(Call(kind, id_, pairs, language, NOW))
    assert [issue.en for issue in validate(answer)] == []
    return answer


def values(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        part["name"]: next(v for k, v in part.items() if k.startswith("value"))
        for part in parameters["parameter"]
        if "part" not in part
    }


def codes(value_set: dict[str, Any]) -> list[str]:
    return [entry["code"] for entry in value_set["expansion"].get("contains", ())]


def test_expand_finds_by_words_without_accents_or_case() -> None:
    """A form that completes what is typed: `medecine gen` finds « Médecine générale »."""
    found = ask("ValueSet/$expand", url=BOOKABLE, filter="MEDECINE gen")
    assert "SM54" in codes(found)
    assert len(codes(found)) < 10
    assert codes(ask("ValueSet/$expand", url=BOOKABLE, filter="édecine")) == [], "a word from its beginning"
    assert "SM54" in codes(ask("ValueSet/$expand", url=BOOKABLE, filter="sm5")), "or the code"


def test_a_question_of_great_length_is_refused() -> None:
    """A filter was folded anew for each code of the value set."""
    with pytest.raises(BadRequest) as refused:
        ask("ValueSet/$expand", url=BOOKABLE, filter="aa " * 20_000)
    assert refused.value.issues[0].code == "too-costly"
    many = [("url", BOOKABLE), *[("exclude-system", "x")] * 256]
    with pytest.raises(BadRequest, match="256 values at most"):
        OPERATIONS["ValueSet", "expand"].answer(Call("ValueSet", None, many, "fr", NOW))


def test_expand_pages_without_gap_or_overlap() -> None:
    whole = codes(ask("ValueSet/$expand", url=BOOKABLE))
    pages: list[str] = []
    while page := codes(ask("ValueSet/$expand", url=BOOKABLE, offset=len(pages), count="7")):
        pages += page
    assert pages == whole
    first = ask("ValueSet/$expand", url=BOOKABLE, count=0)["expansion"]
    assert first["total"] == len(whole)
    assert "contains" not in first


def test_expand_says_what_it_was_made_from_and_what_of_it_is_shown() -> None:
    """With the versions that are held here, through value sets within value sets; an offset only where it pages."""
    nested = "https://hl7.fr/ig/fhir/core/ValueSet/fr-core-vs-patient-identifier-use-pi"
    expansion = ask("ValueSet/$expand", url=nested)["expansion"]
    assert [(part["name"], part["valueUri"]) for part in expansion["parameter"]] == [
        ("used-codesystem", "http://hl7.org/fhir/identifier-use|4.0.1"),
        ("used-valueset", "http://hl7.org/fhir/ValueSet/identifier-use|4.0.1"),
    ]
    assert "offset" not in expansion
    paged = ask("ValueSet/$expand", url=nested, offset=2, count=2)["expansion"]
    assert (paged["total"], paged["offset"]) == (len(expansion["contains"]), 2)
    assert paged["contains"] == expansion["contains"][2:4]
    beyond = ask("ValueSet/$expand", url=nested, offset=1000)["expansion"]
    assert (beyond["total"], beyond["offset"], "contains" in beyond) == (paged["total"], 1000, False)


def test_a_fragment_does_not_count_what_it_does_not_know() -> None:
    for resource in code_systems():
        complete = resource["content"] == "complete"
        assert ("count" in resource) == complete, resource["id"]
        assert not complete or resource["count"] == len(resource["concept"])


def test_expand_leaves_out_closed_codes_when_asked() -> None:
    url = "https://creneau.sante.fr/fhir/ValueSet/bookable-specialty"
    everything = ask("ValueSet/$expand", url=url)["expansion"]["contains"]
    closed = {entry["code"] for entry in everything if entry.get("inactive")}
    active = set(codes(ask("ValueSet/$expand", url=url, activeOnly="true")))
    assert active == {entry["code"] for entry in everything} - closed


def test_expand_of_an_instance_needs_no_url() -> None:
    assert set(codes(ask("ValueSet/$expand", id_="bookable-visit-type"))) == {"AMB", "HH", "VR"}


def test_lookup_tells_label_parents_and_children() -> None:
    found = ask("CodeSystem/$lookup", system=REASONS, code="pat")
    assert values(found)["display"] == "Patient"
    children = [
        part["part"][1]["valueCode"]
        for part in found["parameter"]
        if part["name"] == "property" and part["part"][0]["valueCode"] == "child"
    ]
    assert "pat-crs" in children
    narrowed = ask("CodeSystem/$lookup", system=REASONS, code="pat-crs", property="parent")
    assert [p["part"][1] for p in narrowed["parameter"] if p["name"] == "property"] == [
        {"name": "value", "valueCode": "pat"}
    ]


def test_lookup_of_our_own_code_speaks_the_clients_language() -> None:
    coding = {"system": ISSUES, "code": "slot-taken"}
    assert values(ask("CodeSystem/$lookup", coding=coding))["display"] == "Créneau déjà pris"
    assert values(ask("CodeSystem/$lookup", coding=coding, language="en"))["display"] == "Slot already taken"


@pytest.mark.parametrize(
    ("entries", "result"),
    [
        ({"system": SPECIALTIES, "code": "SM54"}, True),
        ({"system": SPECIALTIES, "code": "SM54", "display": "medecine generale (sm)"}, True),
        ({"system": SPECIALTIES, "code": "SM54", "display": "Cardiologie"}, False),
        ({"system": SPECIALTIES, "code": "SM999"}, False),
        ({"system": REASONS, "code": "pat"}, False),
        ({"coding": {"system": SPECIALTIES, "code": "SM54"}}, True),
        ({"coding": f"{SPECIALTIES}|SM54"}, True),
        ({"codeableConcept": {"coding": [{"code": "x"}, {"system": SPECIALTIES, "code": "SM54"}]}}, True),
    ],
)
def test_validate_code_in_a_value_set(entries: dict[str, Any], result: bool) -> None:
    answer = values(ask("ValueSet/$validate-code", url=BOOKABLE, **entries))
    assert answer["result"] is result
    assert ("message" in answer) is not result, "a no is explained"


def test_validate_code_in_a_system() -> None:
    assert values(ask("CodeSystem/$validate-code", url=REASONS, code="pat"))["result"] is True
    refused = values(ask("CodeSystem/$validate-code", url=REASONS, code="nope", language="en"))
    assert refused["result"] is False
    assert refused["message"].startswith("The code “nope”")
    assert values(ask("CodeSystem/$validate-code", id_="slotstatus", code="free"))["result"] is True


@pytest.mark.parametrize(
    ("a", "b", "outcome"),
    [
        ("pat", "pat", "equivalent"),
        ("pat", "pat-crs", "subsumes"),
        ("pat-crs", "pat", "subsumed-by"),
        ("pat", "prov", "not-subsumed"),
    ],
)
def test_subsumes(a: str, b: str, outcome: str) -> None:
    assert values(ask("CodeSystem/$subsumes", system=REASONS, codeA=a, codeB=b)) == {"outcome": outcome}
    codings: dict[str, Any] = {
        "codingA": {"system": REASONS, "code": a},
        "codingB": {"system": REASONS, "code": b},
    }
    assert values(ask("CodeSystem/$subsumes", **codings)) == {"outcome": outcome}


@pytest.mark.parametrize(
    ("address", "entries", "error", "code"),
    [
        ("ValueSet/$expand", {}, BadRequest, "required"),
        ("ValueSet/$expand", {"url": "https://example.org/none"}, NotFound, "not-found"),
        ("ValueSet/$expand", {"url": BOOKABLE, "count": "-1"}, BadRequest, "value"),
        ("ValueSet/$expand", {"url": BOOKABLE, "count": "²"}, BadRequest, "value"),
        ("ValueSet/$expand", {"url": BOOKABLE, "offset": "9" * 5_000}, BadRequest, "value"),
        ("ValueSet/$expand", {"url": BOOKABLE, "activeOnly": "yes"}, BadRequest, "value"),
        ("ValueSet/$expand", {"url": BOOKABLE, "context": "x"}, BadRequest, "not-supported"),
        ("ValueSet/$validate-code", {"url": BOOKABLE, "code": "SM54"}, BadRequest, "required"),
        ("ValueSet/$validate-code", {"url": BOOKABLE}, BadRequest, "required"),
        ("CodeSystem/$lookup", {"system": REASONS, "code": "none"}, NotFound, "not-found"),
        ("CodeSystem/$lookup", {"system": "https://example.org/none", "code": "x"}, NotFound, "not-found"),
        ("CodeSystem/$lookup", {"coding": {"system": REASONS}}, BadRequest, "value"),
        ("CodeSystem/$subsumes", {"system": REASONS, "codeA": "pat"}, BadRequest, "required"),
    ],
)
def test_what_cannot_be_answered_is_said(
    address: str, entries: dict[str, Any], error: type[Exception], code: str
) -> None:
    with pytest.raises(error) as refused:
        ask(address, **entries)
    assert refused.value.issues[0].code == code  # type: ignore[attr-defined]


def test_the_definitions_are_valid_r4_with_hl7s_canonicals() -> None:
    for (kind, code), operation in OPERATIONS.items():
        assert [issue.en for issue in validate(operation.definition)] == []
        assert operation.definition["url"] == f"http://hl7.org/fhir/OperationDefinition/{kind}-{code}"


def test_r4s_own_parameters_are_understood() -> None:
    """What HL7 declares under these canonicals is honoured, or changes nothing here: nobody is refused for it."""
    concept: dict[str, Any] = {"code": "slot-taken", "system": ISSUES}
    french, english = (
        values(ask("CodeSystem/$lookup", **concept, displayLanguage=said, date="2026-11-22"))["display"]
        for said in ("fr-FR", "en")
    )
    assert french != english
    asked: dict[str, Any] = {
        "url": ISSUES,
        "code": "slot-taken",
        "abstract": "true",
        "date": "2026",
        "displayLanguage": "en",
    }
    assert values(ask("CodeSystem/$validate-code", **asked)) == {"result": True, "display": english}
    in_set: dict[str, Any] = {
        "url": BOOKABLE,
        "system": SPECIALTIES,
        "code": "SM54",
        "abstract": False,
        "date": "2026",
    }
    assert values(ask("ValueSet/$validate-code", **in_set, displayLanguage="fr"))["result"] is True
    names = ("includeDesignations", "excludeNested", "excludeNotForUI", "excludePostCoordinated")
    quiet: dict[str, Any] = dict.fromkeys(names, "true") | {"designation": "urn:ietf:bcp:47|fr"}
    expanded = ask("ValueSet/$expand", url=BOOKABLE, date="2026", **quiet)
    assert codes(expanded) == codes(ask("ValueSet/$expand", url=BOOKABLE))


def test_a_version_that_is_not_held_is_said() -> None:
    held = next(system["version"] for system in code_systems() if system["url"] == REASONS)
    asked: dict[str, Any] = {"system": REASONS, "code": "pat"}
    assert values(ask("CodeSystem/$lookup", **asked, version=held))["version"] == held
    pair: dict[str, Any] = {"system": REASONS, "codeA": "pat", "codeB": "pat-fb"}
    assert values(ask("CodeSystem/$subsumes", **pair, version=held)) == {"outcome": "subsumes"}
    other: dict[str, Any]
    for address, more, name in (
        ("CodeSystem/$lookup", asked, "version"),
        ("CodeSystem/$validate-code", {**asked, "url": REASONS}, "version"),
        ("CodeSystem/$subsumes", pair, "version"),
        ("ValueSet/$validate-code", {**asked, "url": BOOKABLE}, "systemVersion"),
    ):
        other = {**more, name: "0.0.1"}
        with pytest.raises(NotFound, match=r"0\.0\.1"):
            ask(address, **other)


SLOT_STATUS = "http://hl7.org/fhir/ValueSet/slotstatus"
SLOT_STATUS_CODES = "http://hl7.org/fhir/slotstatus"


@pytest.mark.parametrize(
    ("address", "entries", "named"),
    [
        ("ValueSet/$expand", {"url": f"{SLOT_STATUS}|9"}, "url"),
        ("ValueSet/$expand", {"url": SLOT_STATUS, "valueSetVersion": "9"}, "valueSetVersion"),
        ("ValueSet/$validate-code", {"url": f"{SLOT_STATUS}|9"}, "url"),
        ("ValueSet/$validate-code", {"url": SLOT_STATUS, "valueSetVersion": "9"}, "valueSetVersion"),
        ("CodeSystem/$validate-code", {"url": f"{SLOT_STATUS_CODES}|9"}, "url"),
        ("CodeSystem/$lookup", {"system": f"{SLOT_STATUS_CODES}|9"}, "system"),
        *(
            ("ValueSet/$expand", {"url": SLOT_STATUS, name: f"{SLOT_STATUS_CODES}|9"}, name)
            for name in ("system-version", "check-system-version", "force-system-version")
        ),
    ],
)
def test_a_canonical_of_another_version_is_not_answered_from_this_one(
    address: str, entries: dict[str, Any], named: str
) -> None:
    coding: dict[str, Any] = (
        {} if address.endswith("$expand") else {"system": SLOT_STATUS_CODES, "code": "free"}
    )
    with pytest.raises(NotFound) as refused:
        ask(address, **coding | entries)
    (issue,) = refused.value.issues
    assert issue.expression == (named,)
    assert "4.0.1" in issue.en
    held = {name: value.replace("|9", "|4.0.1") for name, value in entries.items()}
    if "valueSetVersion" in held:
        held["valueSetVersion"] = "4.0.1"
    assert ask(address, **coding | held)


def test_expand_leaves_out_a_system_and_minds_no_version_of_what_it_does_not_use() -> None:
    whole = codes(ask("ValueSet/$expand", url=SLOT_STATUS))
    for canonical, left in (
        (SLOT_STATUS_CODES, []),
        (f"{SLOT_STATUS_CODES}|4.0.1", []),
        (f"{SLOT_STATUS_CODES}|9", whole),
        (REASONS, whole),
    ):
        excluding: dict[str, Any] = {"exclude-system": canonical}
        expanded = ask("ValueSet/$expand", url=SLOT_STATUS, **excluding)
        assert codes(expanded) == left, canonical
        assert {"name": "exclude-system", "valueUri": canonical} in expanded["expansion"]["parameter"]
    of_another: dict[str, Any] = {"system-version": f"{REASONS}|0.0.1"}
    assert codes(ask("ValueSet/$expand", url=SLOT_STATUS, **of_another)) == whole


def test_expand_tells_its_definition_when_asked() -> None:
    whole = ask("ValueSet/$expand", url=BOOKABLE, includeDefinition="true")
    plain = ask("ValueSet/$expand", url=BOOKABLE)
    assert whole["compose"]["include"]
    assert "compose" not in plain
    assert whole["expansion"]["contains"] == plain["expansion"]["contains"]
