"""The function of a request (search, book, agendas), which an operator watches, whichever process answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Literal, get_args

Function = Literal["search", "book", "agendas"]
"""search   who is there, and when they are free
book     holding, booking, moving and cancelling
agendas  what practices' software publishes of its agendas"""
FUNCTIONS: tuple[Function, ...] = get_args(Function)

_FOUND = frozenset(
    {"Slot", "Schedule", "HealthcareService", "PractitionerRole", "Practitioner", "Organization", "Location"}
)
_WRITTEN: Mapping[str, Function] = {"Appointment": "book", "Slot": "agendas", "Schedule": "agendas"}
_SEARCHES = frozenset({"_search", "$find", "$prefetch", "$soonest"})

_of_bundle: ContextVar[Function | None] = ContextVar("function_of_bundle", default=None)


def begin() -> None:
    """Forgets the function of an earlier request of this task."""
    _of_bundle.set(None)


def tell(writes: Iterable[str]) -> None:
    """Sets the function of a Bundle from the types that its entries write; called once the Bundle has been read."""
    written = set(writes)
    if written & {"Slot", "Schedule"}:
        _of_bundle.set("agendas")
    elif "Appointment" in written:
        _of_bundle.set("book")


def is_failure(status: int) -> bool:
    """Whether an answer is the deployment's failure. 501 is not: what was asked for is not offered here."""
    return status >= 500 and status != 501


def function_of(method: str, path: str) -> Function | None:
    """The function of a request; None for requests that are not watched (a read by id, a page, a probe)."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] != ["fhir"]:
        return None
    if len(parts) == 1:
        return _of_bundle.get()
    kind, rest = parts[1], parts[2:]
    if _SEARCHES & set(rest) or (method in ("GET", "HEAD") and not rest):
        return "search" if kind in _FOUND or "$find" in rest else None
    if method in ("GET", "HEAD"):
        return None
    return _WRITTEN.get(kind)
