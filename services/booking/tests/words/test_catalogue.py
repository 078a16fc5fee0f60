"""Every refusal of the rules is told, once, in both languages; nothing is told that no rule refuses."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, get_args, get_type_hints

import pytest

from creneau_booking.domain import refusals
from creneau_booking.domain.openings import refusals as of_openings
from creneau_booking.domain.refusals.changes import IllegalTransition
from creneau_booking.domain.refusals.offering import (
    BookableUnclear,
    RuleFault,
    SlotMadeMeanwhile,
    SlotsNotSearchedBy,
    UnreadRule,
)
from creneau_booking.domain.refusals.people import InsFault, UnreachableKind
from creneau_booking.domain.refusals.proxies import UnknownProxy
from creneau_booking.domain.refusals.slots import SlotTaken
from creneau_booking.words import CATALOGUE, told
from creneau_shared.fhir.terminology.issue_codes import ISSUE_CODES
from creneau_shared.refusal import Refusal


def _modules(package: ModuleType) -> list[ModuleType]:
    return [import_module(f"{package.__name__}.{found.name}") for found in iter_modules(package.__path__)]


REFUSALS = sorted(
    (
        one
        for module in (*_modules(refusals), of_openings)
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Refusal) and one != Refusal
    ),
    key=lambda one: one.__name__,
)
NOT_OF_AN_ELEMENT = {
    "too-many-bookings",
    "too-many-holds-begun",
    "too-many-cancellations",
    "too-many-holds",
    "too-many-changes",
    "patient-erased",
}
"""a rate is about what somebody did, not about what they sent; an erased id about none of its elements"""
AS_THE_PLATFORM = {
    SlotMadeMeanwhile,
    BookableUnclear,
    SlotsNotSearchedBy,
    UnknownProxy,
}
"""told as the platform tells the same of other types, which has no code of its own for it"""

FACTS: dict[Any, Any] = {
    str: "x",
    int: 2,
    datetime: datetime(2026, 12, 1, 9, tzinfo=UTC),
    timedelta: timedelta(hours=2),
    tuple[datetime, ...]: (datetime(2026, 12, 1, 9, tzinfo=UTC), datetime(2026, 12, 2, 9, tzinfo=UTC)),
    tuple[str, ...]: ("x", "y"),
    tuple[int, ...]: (0, 1),
    int | None: 216,
    bool: True,
    tuple[tuple[int, str], ...]: ((0, "x"), (1, "y")),
    tuple[tuple[int, UnreachableKind], ...]: ((0, "email"), (1, "phone")),
    tuple[tuple[int, InsFault], ...]: ((0, "form"), (1, "key")),
    tuple[UnreadRule, ...]: tuple(UnreadRule(1, fault, "e", "x") for fault in get_args(RuleFault)),
    tuple[of_openings.UnreadOpening, ...]: tuple(
        of_openings.UnreadOpening(1, fault, "e", "x") for fault in get_args(of_openings.OpeningFault)
    ),
    str | None: None,
    datetime | None: datetime(2026, 12, 1, 9, tzinfo=UTC),
    Refusal: SlotTaken("x", datetime(2026, 12, 1, 9, tzinfo=UTC), "busy"),
}


def an_example(refusal: type[Refusal], **given: Any) -> Refusal:
    """The refusal with facts of the types that it declares, where they are not given."""
    hints = get_type_hints(refusal)
    chosen = {"among": "agenda", "zone": UTC, **given}
    return refusal(**{f.name: chosen.get(f.name) or _fact(hints[f.name]) for f in fields(refusal)})  # type: ignore[arg-type]


def _fact(kind: Any) -> Any:
    """An example of the type; of a choice, the first."""
    return FACTS[kind] if kind in FACTS else get_args(kind)[0]


def test_words_and_refusals_are_the_same_set() -> None:
    assert set(CATALOGUE) == set(REFUSALS)
    ours = {one for one in Refusal.__subclasses__() if one.__module__.startswith("creneau_booking.")}
    assert set(CATALOGUE) == ours


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda one: one.__name__)
def test_each_is_told_whole(refusal: type[Refusal]) -> None:
    error = told(an_example(refusal))
    assert 400 <= error.status < 500
    assert error.issues
    for issue in error.issues:
        assert issue.fr
        assert issue.en not in ("", issue.fr)
        if refusal not in AS_THE_PLATFORM:
            assert issue.details_code in ISSUE_CODES
            assert (issue.expression and all(issue.expression)) or issue.details_code in NOT_OF_AN_ELEMENT


RECORD = "r3c0rd"
NAMES_OF_RECORDS = frozenset(
    {
        "id",
        "ids",
        "schedule",
        "appointment",
        "actor",
        "actors",
        "persons",
        "before",
        "after",
        "one",
        "other",
        "holder",
        "first",
    }
)
"""facts that are ids, or references"""
TOLD_TO_SOFTWARE = "creneau_booking.domain.refusals.feeds"
"""what only the software of an agenda is told, of what it has sent"""


@pytest.mark.parametrize(
    "refusal",
    [r for r in REFUSALS if r.__module__ != TOLD_TO_SOFTWARE and r not in (UnknownProxy, IllegalTransition)],
    ids=lambda one: one.__name__,
)
def test_no_sentence_has_the_id_of_a_record(refusal: type[Refusal]) -> None:
    """People read of the moment and the thing; which record it is, programs find in the diagnostics. (A proxy who is not
    there is told as the platform tells it of an address; a step has states before and after it, not records.)"""
    records = {
        str: f"Practitioner/{RECORD}",
        str | None: f"Practitioner/{RECORD}",
        tuple[str, ...]: (f"Practitioner/{RECORD}", f"Location/{RECORD}"),
    }
    named = {
        name: records[kind]
        for name, kind in get_type_hints(refusal).items()
        if name in NAMES_OF_RECORDS and kind in records
    }
    issues = told(an_example(refusal, **named)).issues
    assert not [said for issue in issues for said in (issue.fr, issue.en) if RECORD in said]
    assert not named or any(RECORD in (issue.diagnostics or "") for issue in issues)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda one: one.__name__)
def test_equal_facts_are_equal_refusals(refusal: type[Refusal]) -> None:
    assert an_example(refusal) == an_example(refusal)
    assert an_example(refusal) != SlotTaken("z", FACTS[datetime], "busy")
