"""A value set's codes, from its composition (FHIR R4 valueset.html#compositions)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from creneau_shared.fhir.terminology.catalogue import catalogue, value_set_catalogue


class Member(NamedTuple):
    """One code of an expansion. `closed`: published, but not to be used any more."""

    system: str
    code: str
    display: str
    closed: bool = False


@lru_cache(1024)
def expansion(canonical: str) -> tuple[Member, ...] | None:
    """The members of a value set in the order of its composition; None when it is not known here."""
    value_set = value_set_catalogue().get(canonical.partition("|")[0])
    if value_set is None:
        return None
    excluded = {
        (member.system, member.code)
        for part in value_set.compose.get("exclude", ())
        for member in _members(part)
    }
    included = {
        (member.system, member.code): member
        for part in value_set.compose["include"]
        for member in _members(part)
        if (member.system, member.code) not in excluded
    }
    return tuple(included.values())


@lru_cache(1024)
def sources(canonical: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sources of an expansion: the code systems and the other value sets of the composition, as canonicals with the
    version held here."""
    systems: dict[str, None] = {}
    value_sets: dict[str, None] = {}
    waiting = [canonical]
    while waiting:
        value_set = value_set_catalogue().get(waiting.pop(0).partition("|")[0])
        if value_set is None:
            continue
        for part in (*value_set.compose["include"], *value_set.compose.get("exclude", ())):
            if "system" in part:
                held = catalogue().get(part["system"])
                version = part.get("version") or (held.version if held else None)
                systems[_versioned(part["system"], version)] = None
            for url in part.get("valueSet", ()):
                other = value_set_catalogue().get(url.partition("|")[0])
                used = _versioned(url.partition("|")[0], other.version if other else None)
                if used not in value_sets:
                    value_sets[used] = None
                    waiting.append(url)
    return tuple(systems), tuple(value_sets)


def _versioned(url: str, version: str | None) -> str:
    return f"{url}|{version}" if version else url


def _members(part: Mapping[str, Any]) -> Iterator[Member]:
    """The codes of one `include` or `exclude`: those of its system, or those that all its value sets have in common."""
    if "system" in part:
        yield from _of_system(part)
        return
    first, *others = (expansion(url) or () for url in part["valueSet"])
    shared = [{(member.system, member.code) for member in members} for members in others]
    for member in first:
        if all((member.system, member.code) in codes for codes in shared):
            yield member


def _of_system(part: Mapping[str, Any]) -> Iterator[Member]:
    url: str = part["system"]
    held = catalogue().get(url)
    if "concept" in part:
        for listed in part["concept"]:
            known = held.concepts.get(listed["code"]) if held else None
            display = known.display if known else listed.get("display", listed["code"])
            yield Member(url, listed["code"], display, known.closed if known else False)
        return
    assert held is not None, f"{url} is included whole and not held here"
    wanted = frozenset(held.concepts)
    for rule in part.get("filter", ()):
        assert rule["op"] == "is-a", f"filter {rule['op']} is not supported"
        wanted &= held.closure(rule["value"], upwards=False)
    for code, concept in held.concepts.items():
        if code in wanted:
            yield Member(url, code, concept.display, concept.closed)
