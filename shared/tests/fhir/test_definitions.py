"""The definitions are those of R4: compared with other R4 models and with the specification's tables."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from functools import cache
from typing import Any

import pytest
from fhirclient import models
from fhirclient.models.fhirabstractbase import FHIRAbstractBase
from fhirclient.models.resource import Resource
from shared.tests.fhir.official import ROOT

from creneau_shared.fhir.bindings import CORRECTED_CODES, MODIFIERS, RESOURCE_TYPES, words
from creneau_shared.fhir.definitions import UnknownTypeError, is_resource_type, type_definition

SERVED = sorted(
    words(
        """
        Organization Location HealthcareService Practitioner PractitionerRole Endpoint Schedule Slot
        Appointment AppointmentResponse Patient RelatedPerson Communication Subscription AuditEvent
        Provenance Parameters Bundle OperationOutcome CapabilityStatement SearchParameter
        OperationDefinition StructureDefinition CodeSystem ValueSet
        """
    )
)


@cache
def r4_models() -> dict[str, type[Any]]:
    """fhirclient's classes, which are R4 (4.0.1), by type."""
    found: dict[str, type[Any]] = {}
    for module in pkgutil.iter_modules(models.__path__):
        if not module.name.endswith("_tests"):
            for name, member in inspect.getmembers(
                importlib.import_module(f"fhirclient.models.{module.name}")
            ):
                if inspect.isclass(member) and issubclass(member, FHIRAbstractBase):
                    found[getattr(member, "resource_type", name)] = member
    return found


@cache
def reachable() -> list[str]:
    """The served types and every complex type that stands somewhere in them."""
    found: list[str] = []
    waiting = list(SERVED)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.append(name)
            waiting += [
                element.type for element in type_definition(name).elements if element.kind == "complex"
            ]
    return sorted(found)


@pytest.mark.parametrize("name", reachable())
def test_type_is_as_in_r4(name: str) -> None:
    """R4B stands in for R4: same elements, lists, cardinalities, choices and types."""
    definition = type_definition(name)
    theirs = {row[1]: row for row in r4_models()[name]().elementProperties()}
    ours = definition.by_name
    assert set(theirs) == set(ours)
    for element in ours.values():
        _, _, type_, is_list, group, required = theirs[element.name]
        mandatory = element.choice in definition.required_choices if element.choice else element.min == 1
        assert (element.is_list, element.choice, mandatory) == (is_list, group, required), element.name
        if element.kind == "complex":
            assert type_.__name__.removeprefix("FHIR") == element.type


def test_resource_types_are_those_of_r4() -> None:
    theirs = {name for name, model in r4_models().items() if issubclass(model, Resource)}
    assert theirs - {"Resource", "DomainResource"} == RESOURCE_TYPES
    assert all(is_resource_type(name) for name in SERVED)


@pytest.mark.official
@pytest.mark.skipif(not ROOT.is_dir(), reason=f"the specification's tables are not beside {ROOT}")
@pytest.mark.parametrize("name", ["Schedule", "Slot", "Appointment", "AppointmentResponse"])
def test_order_flags_and_targets_are_those_of_the_specification(name: str) -> None:
    table = (ROOT.parent / "specs" / "r4-elements.md").read_text()
    for path, low, high, type_, flags in re.findall(
        rf"^\| {name}\.([\w.\[\]]+) \| (\d)\.\.([\d*]+) \| (\S+) \| ([?!Σ ]*?) ?\|", table, re.MULTILINE
    ):
        owner, _, last = path.rpartition(".")
        element = type_definition(name + owner.capitalize()).by_name[last]
        assert element.min == int(low), path
        assert element.is_list == (high == "*"), path
        assert element.modifier == ("?!" in flags), path
        if not owner:
            assert element.summary == ("Σ" in flags), path
        targets = re.fullmatch(r"Reference\((.*)\)", type_)
        if targets:
            assert set(element.targets) == set(targets[1].split("|")) - {"Resource"}, path
    names = re.findall(rf"^\| {name}\.(\w+) \|", table, re.MULTILINE)
    assert [element.name for element in type_definition(name).elements] == names


@pytest.mark.parametrize(
    "name", ["Nonsense", "Citation", "CodeableReference", "RatioRange", "DomainResource", ""]
)
def test_what_r4_has_not_is_unknown(name: str) -> None:
    """Types that only R4B has, abstract types and inventions are no types."""
    with pytest.raises(UnknownTypeError):
        type_definition(name)


def test_corrections_and_modifiers_name_real_elements() -> None:
    """A misspelt correction would silently do nothing."""
    for type_name, element in CORRECTED_CODES:
        assert type_definition(type_name).by_name[element].type == "code"
    for type_name, elements in MODIFIERS.items():
        assert elements <= set(type_definition(type_name).by_name)


def test_types_that_contain_themselves() -> None:
    """contentReference: a parameter's part is a parameter, an exclusion is made like an inclusion."""
    assert type_definition("ParametersParameter").by_name["part"].type == "ParametersParameter"
    assert type_definition("ValueSetCompose").by_name["exclude"].type == "ValueSetComposeInclude"
    assert type_definition("Extension").by_name["extension"].type == "Extension"
