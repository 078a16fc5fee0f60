"""Whatever is asked, PostgreSQL understands what was compiled."""

from __future__ import annotations

import contextlib

import pytest
from shared.tests.search.conftest import HELD
from shared.tests.search.store import Store

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.registry import REGISTRY, parameters_of

VALUES = {
    "token": ["a", "s|a", "|a", "s|", "true"],
    "string": ["a", "%_\\\\", "…", "x" * 200],
    "date": [f"{prefix}2026-12-01" for prefix in ("", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")],
    "number": [f"{prefix}5" for prefix in ("", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")],
    "quantity": ["5", "le5||a", "ge5|https://unitsofmeasure.org|mo", "ne5|urn:x|EUR"],
    "reference": ["1", "Patient/1", "https://x/Patient/1", "urn:uuid:1"],
    "uri": ["http://x/y", "urn:oid:1", "x%_"],
    "special": ["48|2", "48|2|3|km,45|4|1|km"],
}
BY_NAME = {
    "near-insee-code": ["44109", "44162|15|km"],
    "_filter": [
        "_id eq a",
        "_text co été",
        "not (_id eq a or _lastUpdated gt 2026)",
        "_content co b and _id ne c",
    ],
    "_text": ["été", "a OR -b", '"a b" c*', "(a", "NOT a", "%\\"],
    "_content": ["été", "a OR -b", '"a b" c*', "(a", "NOT a", "%\\"],
}
MODIFIERS = {
    "token": ["not", "text", "of-type", "above"],
    "string": ["exact", "contains", "above"],
    "date": ["above"],
    "reference": ["identifier"],
    "uri": ["above", "below"],
}


@pytest.mark.parametrize("resource_type", sorted(HELD))
async def test_every_parameter_value_modifier_and_sort(graph: Store, resource_type: str) -> None:
    """Each combination that the parser lets through runs."""
    for parameter in parameters_of(resource_type).values():
        name = parameter.name
        values = BY_NAME.get(name, VALUES[parameter.type])
        await _run(graph, f"{resource_type}?_sort={name},-_lastUpdated&_count=2")
        await _run(graph, f"{resource_type}?_sort=-{name}&_count=1")
        for value in values:
            await _run(graph, f"{resource_type}?{name}={value}&_include=*")
        await _run(graph, f"{resource_type}?{name}=" + ",".join(values))
        for modifier in MODIFIERS.get(parameter.type, []):
            for value in [*VALUES[parameter.type], "s|c|v"]:
                await _run(graph, f"{resource_type}?{name}:{modifier}={value}")
        for missing in ("true", "false", "true,false"):
            await _run(graph, f"{resource_type}?{name}:missing={missing}")


async def _run(graph: Store, query: str) -> None:
    with contextlib.suppress(BadRequest):
        first = await graph.result(query)
        if first.next_cursor:
            following = await graph.result(query, cursor=first.next_cursor)
            assert not {row.id for row in first.matches} & {row.id for row in following.matches}


async def test_every_reference_in_both_directions(graph: Store) -> None:
    """Each chain, each _has and each include between types that are held runs."""
    for resource_type in sorted(HELD):
        for parameter in parameters_of(resource_type).values():
            if parameter.type != "reference":
                continue
            await _run(graph, f"{resource_type}?_revinclude={resource_type}:{parameter.name}")
            for target in sorted(HELD):
                if parameter.allows_target(target):
                    await _run(graph, f"{resource_type}?{parameter.name}:{target}._id=x")
                    await _run(graph, f"{target}?_has:{resource_type}:{parameter.name}:_id=x")


async def test_the_registry_is_covered() -> None:
    """The types above are those of the registry."""
    assert set(REGISTRY) >= HELD
