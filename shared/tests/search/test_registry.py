"""The registry is R4's, complete, and can be published."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.published import search_parameters
from creneau_shared.fhir.search.registry import REGISTRY, find_parameter, parameters_of, storage_needs

_TABLE = Path(__file__).parents[4] / "shared" / "specs" / "r4-searchparams.md"
_HEADING = re.compile(r"#### (\w+) \(\d+\)")


@pytest.mark.official
def test_every_standard_parameter_as_published() -> None:
    """Name, type, expression and targets equal the published definitions."""
    if not _TABLE.is_file():
        pytest.skip("the published parameters (../shared/specs) are not beside the repository")
    resource_type, compared = "", 0
    for line in _TABLE.read_text("utf-8").splitlines():
        if heading := _HEADING.match(line):
            resource_type = heading[1]
        elif (
            line.startswith("| ")
            and not line.startswith(("| name | type", "|---"))
            and resource_type in REGISTRY
        ):
            (name, kind), expression = line.strip("| ").split(" | ")[:2], line.split("`")[1]
            parameter = parameters_of(resource_type)[name]
            assert (parameter.type, parameter.expression) == (kind, expression), (resource_type, name)
            targets = line.rsplit("` |", 1)[1].strip(" |").split(",") if kind == "reference" else []
            if parameter.targets != ("Resource",):
                assert set(parameter.targets) == set(filter(None, targets)), (resource_type, name)
            compared += 1
    assert compared == 7 + 8 + 17 + 7 + 17 + 13 + 13 + 15 + 12 + 23 + 6


@pytest.mark.parametrize(
    ("resource_type", "names"),
    [
        ("RelatedPerson",
         "active address address-city address-country address-postalcode address-state address-use birthdate email "
         "gender identifier name patient phone phonetic relationship telecom"),
        ("Communication",
         "based-on category encounter identifier instantiates-canonical instantiates-uri medium part-of patient "
         "received recipient sender sent status subject"),
        ("AuditEvent",
         "action agent agent-role altid date entity entity-role entity-type outcome patient subtype type"),
        ("Provenance",
         "agent agent-role agent-type entity location patient recorded signature-type target when"),
    ],
)  # fmt: skip
def test_the_other_types_have_their_r4_parameters(resource_type: str, names: str) -> None:
    """The types that the table does not list."""
    assert sorted(n for n in parameters_of(resource_type) if not n.startswith("_")) == names.split()


@pytest.mark.parametrize(
    ("resource_type", "name", "url"),
    [
        ("Slot", "start", "http://hl7.org/fhir/SearchParameter/Slot-start"),
        ("Slot", "end", "https://creneau.sante.fr/fhir/SearchParameter/Slot-end"),
        ("Slot", "_lastUpdated", "http://hl7.org/fhir/SearchParameter/Resource-lastUpdated"),
        ("Patient", "email", "http://hl7.org/fhir/SearchParameter/individual-email"),
        ("PractitionerRole", "phone", "http://hl7.org/fhir/SearchParameter/individual-phone"),
        ("Organization", "address", "http://hl7.org/fhir/SearchParameter/Organization-address"),
        ("Appointment", "created", "https://interop.esante.gouv.fr/ig/fhir/gap/SearchParameter/GAP-Appointment-created"),
    ],
)  # fmt: skip
def test_canonicals(resource_type: str, name: str, url: str) -> None:
    """R4 shares one definition among person types; what R4 lacks has the canonical of who defined it."""
    assert parameters_of(resource_type)[name].url == url


def test_published_as_search_parameters() -> None:
    """Each canonical once, with all that R4 requires of a SearchParameter, under a name that a program can use."""
    published = search_parameters(REGISTRY)
    for resource in published:
        for required in ("url", "name", "status", "description", "code", "base", "type"):
            assert resource[required], (resource["id"], required)
        code = resource["code"]
        assert ("expression" in resource) == (code not in ("_text", "_content", "_filter"))
        assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", resource["id"])
        assert re.fullmatch(r"[A-Z][A-Za-z0-9_]*", resource["name"]), "spd-0"
        assert ("target" in resource) == (resource["type"] == "reference")
    for element in ("id", "url"):
        assert max(Counter(resource[element] for resource in published).values()) == 1, element
    offered = {parameter.url for parameters in REGISTRY.values() for parameter in parameters.values()}
    assert {resource["url"] for resource in published} == offered


def test_a_parameter_of_several_types_tells_where_it_looks_in_each() -> None:
    published = {resource["id"]: resource for resource in search_parameters(REGISTRY)}
    family = published["individual-family"]
    assert (family["base"], family["name"]) == (["Practitioner", "Patient"], "IndividualFamily")
    assert family["expression"] == "Practitioner.name.family | Patient.name.family"
    every = published["Resource-lastUpdated"]
    assert (every["base"], every["expression"]) == (["Resource"], "Resource.meta.lastUpdated")
    assert published["Resource-content"]["base"] == ["Resource"]


def test_what_slots_cannot_answer_is_not_declared() -> None:
    """Their rows keep no words of a code: the modifier is refused, and no SearchParameter promises it."""
    published = {resource["id"]: resource for resource in search_parameters(REGISTRY)}
    assert "text" not in published["Slot-service-type"]["modifier"]
    assert "text" in published["Schedule-service-type"]["modifier"]
    assert {"text", "ofType"}.isdisjoint(published["Slot-status"]["modifier"])
    assert "below" not in parameters_of("Slot")["_profile"].modifiers
    with pytest.raises(BadRequest):
        parse_search("Slot", [("service-type:text", "vid")], known_types={"Slot"}, now=datetime.now(UTC))


def test_storage_needs_follow_from_the_parameters() -> None:
    """A type has the side tables that its parameters need, and no other."""
    needs = storage_needs("Location")
    assert (needs.strings, needs.dates, needs.numbers, needs.position) == (True, True, True, True)
    assert storage_needs("Appointment").numbers
    assert not storage_needs("Endpoint").dates
    assert not storage_needs("Slot").position


def test_unknown_types_and_names() -> None:
    """Unknown is empty, not an error: the caller decides."""
    assert parameters_of("Encounter") == {}
    assert find_parameter("Slot", "colour") is None
    assert find_parameter("Slot", "") is None
