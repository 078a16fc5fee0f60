"""One grammar of paths: what a patch points at, and what a search parameter finds."""

from __future__ import annotations

from typing import Any

import pytest
from shared.tests.fhir.resources import patient

from creneau_shared.fhir.paths.effort import Effort
from creneau_shared.fhir.paths.elements import select
from creneau_shared.fhir.paths.extraction import compile_expression
from creneau_shared.fhir.paths.grammar import PathError, parse_path
from creneau_shared.fhir.search.registry import REGISTRY


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("Patient.name.given", ["Camille", "Anne"]),
        ("name.given[1]", ["Anne"]),
        ("Patient.name . given . last( )", ["Anne"]),
        ("Patient.name.where( family = 'Martin' ).given.first()", ["Camille"]),
        ("Patient.name.where(family = 'O\\'Neill').given", []),
        ("Patient.name.where(family = 'Martin' and given[0] = 'Zoé').family", []),
        ("Patient.`name`.family", ["Martin"]),
        ("Patient.deceased", []),
        ("Patient.name[5]", []),
        ("extension('urn:a').value", []),
        ("Patient.birthDate.where($this = 1)", None),
        ("first()", None),
        ("extension('urn:a'", None),
        ("Patient..name", None),
        ("Patient.name[x]", None),
        ("Patient.name.where(family)", None),
        ("", None),
        ("Patient.name)", None),
        ("Patient." + "name." * 500 + "given", None),
    ],
)
def test_path(path: str, values: list[str] | None) -> None:
    if values is None:
        with pytest.raises(PathError):
            parse_path(path)
    else:
        assert [node.value for node in select(patient(), parse_path(path), Effort())] == values


def test_a_path_may_begin_at_an_extension() -> None:
    resource = {
        **patient(),
        "extension": [{"url": "urn:a", "valueCode": "x"}, {"url": "urn:b", "valueCode": "y"}],
    }
    for path in ("extension('urn:b').value", "Patient.extension('urn:b').value"):
        assert [node.value for node in select(resource, parse_path(path), Effort())] == ["y"]


@pytest.mark.parametrize("path", ["a.where(resolve() is Patient)", "(Patient.deceased as boolean)", "a | b"])
def test_what_only_a_search_parameter_says(path: str) -> None:
    """A patch changes elements of one resource: it follows no references and points at one place."""
    with pytest.raises(PathError):
        parse_path(path)


@pytest.mark.parametrize("resource_type", sorted(REGISTRY))
def test_every_expression_compiles(resource_type: str) -> None:
    """The registry is written in the part of FHIRPath that is read here."""
    for parameter in REGISTRY[resource_type].values():
        assert not parameter.expression or compile_expression(parameter.expression)


@pytest.mark.parametrize(
    "expression", ["Slot", "Slot.", "Slot.a.first()", "Slot.where(x > 1)", "Slot.a.where(b='c"]
)
def test_other_expressions_are_refused(expression: str) -> None:
    """Rather than indexed wrongly."""
    with pytest.raises(ValueError, match=r"not a (search )?path|no element"):
        compile_expression(expression)


RESOURCE: dict[str, Any] = {
    "participant": [
        {"actor": {"reference": "Patient/1"}, "status": "accepted"},
        {"actor": {"reference": "Location/2"}, "status": "tentative"},
    ],
    "valueDateTime": "2026",
    "extension": [{"url": "u", "valueString": "x"}, {"url": "v", "valueCode": "y"}],
}


@pytest.mark.parametrize(
    ("expression", "element", "target", "values"),
    [
        ("A.participant.status | A.status", "participant", None, ["accepted", "tentative"]),
        ("A.participant.where(status = 'accepted').actor.reference", "participant", None, ["Patient/1"]),
        (
            "A.participant.actor.where(resolve() is Patient)",
            "participant",
            "Patient",
            [{"reference": "Patient/1"}, {"reference": "Location/2"}],
        ),
        ("(A.value as dateTime)", "valueDateTime", None, ["2026"]),
        ("A.value.ofType(dateTime)", "valueDateTime", None, ["2026"]),
        ("A.extension.where(url='u').value", "extension", None, ["x"]),
        ("A.extension('v').value", "extension", None, ["y"]),
    ],
)
def test_what_a_search_parameter_finds(
    expression: str, element: str, target: str | None, values: list[Any]
) -> None:
    """The element with which it begins, the values in it, and to what its references lead."""
    path = compile_expression(expression)[0]
    assert (path.element, path.target) == (element, target)
    assert path.values(RESOURCE[element]) == values
