"""Everybody asks for everything in every way, and is answered what `security/role_table.py` says: no more, no less."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx
import pytest

from creneau_shared.security.principal import ROLES
from creneau_shared.security.role_table import STAFF
from creneau_shared.type_table import PUBLIC
from tests.conformance.matrix.batches import in_batches
from tests.conformance.matrix.expectation import Expectation
from tests.conformance.matrix.operations import Operations
from tests.conformance.matrix.oracles import Oracles
from tests.conformance.matrix.questions import Asker, Question, differences, told
from tests.conformance.matrix.reading import ALONE, Reading
from tests.conformance.matrix.world import World
from tests.conformance.matrix.writing import Writing

Ways = Callable[[Reading, Reading], Iterable[Question]]


@pytest.fixture(scope="module")
def asker(world: World) -> Asker:
    return Asker(world.stack.fhir)


READING: dict[str, Ways] = {
    "things and their versions, in batches": lambda all_, _: in_batches(all_.instances()),
    "things that are not everybody's": lambda _, secret: secret.reads(),
    "histories of types and of the whole": lambda all_, _: all_.histories(),
    "searches, in batches": lambda all_, _: in_batches(all_.searches()),
    "searches of what is not everybody's": lambda _, secret: secret.searches(
        "search", "POST _search", *ALONE
    ),
    "searches of the whole": lambda all_, _: all_.whole_searches(),
    "compartments": lambda all_, _: in_batches(all_.compartments()),
    "what a search leads to": lambda all_, _: in_batches(all_.walks()),
}


@pytest.mark.parametrize("ways", READING)
def test_nobody_reads_more_or_less_than_the_table_says(world: World, asker: Asker, ways: str) -> None:
    callers = list(world.callers.values())
    secret = [kind for kind in world.types if kind not in PUBLIC or kind == "Slot"]
    check(asker, READING[ways](Reading(world, callers), Reading(world, callers, secret)), ways)


def check(asker: Asker, questions: Iterable[Question], what: str) -> None:
    """Ask, and say all that is not as it should be."""
    questions, begun = list(questions), time.monotonic()
    found = differences(asker.ask(questions))
    print(f"{what}: {len(questions)} requests, {time.monotonic() - begun:.1f} s")
    assert not found, told(found)


OPERATING: dict[str, Callable[[Operations], Iterable[Question]]] = {
    "operations on things, in batches": lambda operations: in_batches(operations.on_instances()),
    "what $find ignores": lambda operations: operations.ignoring(),
}


@pytest.mark.parametrize("ways", OPERATING)
def test_operations_do_what_the_table_says(world: World, asker: Asker, ways: str) -> None:
    check(asker, OPERATING[ways](Operations(world, list(world.callers.values()))), ways)


@pytest.mark.parametrize("ways", ["in_batches", "alone"])
def test_what_is_not_the_callers_is_answered_as_what_does_not_exist(
    world: World, asker: Asker, ways: str
) -> None:
    check(asker, getattr(Oracles(world), ways)(), f"oracles, {ways}")


def test_nobody_changes_more_or_less_than_the_table_says(world: World, asker: Asker) -> None:
    writing = Writing(world, list(world.callers.values()))
    check(asker, in_batches(writing.changes()), "changes, in batches")


@pytest.mark.parametrize(
    "roles", [STAFF, tuple(sorted(ROLES - {*STAFF} | {"public"}))], ids=["practices", "others"]
)
def test_nobody_makes_more_or_less_than_the_table_says(
    world: World, asker: Asker, roles: tuple[str, ...]
) -> None:
    """Last, and practices first: by an appointment that a person takes, a practice comes to know them."""
    callers = list(world.callers.values())
    check(asker, Writing(world, callers).creations(roles), "creations")
    check(asker, Operations(world, callers).bookings(roles), "bookings")


def test_the_trail_shows_each_what_is_about_them(world: World) -> None:
    """Of what was done so far: patients see events about those for whom they act and read nothing of others in them,
    practices see what they did, whoever else is refused."""
    table, people = Expectation(), {item.address for item in world.of("Patient")}
    for caller in world.callers.values():
        answer = httpx.get(f"{world.stack.fhir}/AuditEvent?_count=200", headers=caller.headers, timeout=60)
        refused = table.refusal(caller, "AuditEvent", "s")
        assert answer.status_code == (refused or 200), caller.name
        events = [] if refused else [entry["resource"] for entry in answer.json().get("entry", ())]
        seen = [set(references(event["entity"])) for event in events]
        reach = table.reach(caller, "AuditEvent", "s")
        if reach == "own":
            own = {f"Patient/{id_}" for id_ in caller.people}
            assert all(named & own and not (named & people) - own for named in seen), caller.name
        if reach == "practice":
            theirs = {f"Organization/{id_}" for id_ in caller.practices}
            spoken = [set(references(event["agent"])) for event in events]
            assert all(who & theirs for who in spoken), caller.name
        assert events or reach in ("none", "own", "practice"), caller.name


def references(value: Any) -> Iterator[str]:
    """Every reference within a value, to whichever version."""
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"].partition("/_history")[0]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)
