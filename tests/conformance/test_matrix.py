"""Everybody asks for everything in every way, and is answered what `security/role_table.py` says: no more, no less."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import pytest

from creneau_shared.fhir.type_table import PUBLIC
from tests.conformance.matrix.questions import Asker, Question, differences, told
from tests.conformance.matrix.reading import ALONE, Reading, in_batches
from tests.conformance.matrix.world import World

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
        "search", "POST _search", *PAGED
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
