"""Every way of reading, by everybody: alone, and as entries of batches, which go the same way at a fraction of the cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.conformance.matrix.expectation import Caller, Expectation, Item
from tests.conformance.matrix.questions import Found, Question
from tests.conformance.matrix.world import WORD, World

ALL_STATUSES = ("status", "free,busy,busy-tentative,busy-unavailable")
"""Of slots, consumers are shown the free ones unless they say which they mean."""
INCLUDES = (
    ("Appointment", "patient", "Patient"),
    ("Appointment", "slot", "Slot"),
    ("AppointmentResponse", "appointment", "Appointment"),
    ("AppointmentResponse", "patient", "Patient"),
    ("RelatedPerson", "patient", "Patient"),
    ("Slot", "schedule", "Schedule"),
    ("Provenance", "target", "Appointment"),
    ("Provenance", "target", "Patient"),
    ("PractitionerRole", "organization", "Organization"),
    ("PractitionerRole", "practitioner", "Practitioner"),
)
"""source, search parameter, target: within one service"""
COMPARTMENTS = (
    ("Patient", "Appointment"),
    ("Patient", "AppointmentResponse"),
    ("Patient", "RelatedPerson"),
    ("Patient", "Communication"),
    ("Practitioner", "PractitionerRole"),
)

ALONE = ("pages, sorted", "pages by _id", "POST _search", "of the system")
"""ways to search that go on to next pages, send a form or ask the whole: no entry of a batch does"""

Pairs = list[tuple[str, str]]


class Reading:
    """The questions of one world, for some callers and some types."""

    def __init__(self, world: World, callers: Sequence[Caller], types: Sequence[str] | None = None) -> None:
        self.world = world
        self.callers = callers
        self.types = [kind for kind in world.types if types is None or kind in types]

    # -- one by one ------------------------------------------------------------------------------------------

    def instances(self) -> Iterator[Question]:
        """read of each thing; vread of each version; the history of each."""
        for caller in self.callers:
            for kind in self.types:
                for item in self.world.of(kind):
                    yield self._read(caller, item)
                    yield self._history(caller, item)
                    for number in range(1, len(item.versions) + 1):
                        yield self._vread(caller, item, number)

    def reads(self) -> Iterator[Question]:
        """read of each thing."""
        for caller in self.callers:
            yield from (self._read(caller, item) for kind in self.types for item in self.world.of(kind))

    def _read(self, caller: Caller, item: Item) -> Question:
        def expected(table: Expectation) -> Found:
            gone = 410 if item.now.deleted else 200
            return {
                item.name: self._status(table, caller, item, gone if table.sees(caller, item, "r") else 404)
            }

        return Question(caller, "read", "GET", f"/{item.address}", _status_of(item.name), expected)

    def _vread(self, caller: Caller, item: Item, number: int) -> Question:
        version = item.versions[number - 1]
        name = f"{item.name} v{number}"

        def expected(table: Expectation) -> Found:
            seen = table.sees(caller, item, "r", version)
            refused = table.refuses_versions(caller, item.type)
            return {name: refused or ((410 if version.deleted else 200) if seen else 404)}

        url = f"/{item.address}/_history/{number}"
        return Question(caller, "vread", "GET", url, _status_of(name), expected)

    def _history(self, caller: Caller, item: Item) -> Question:
        name = f"{item.name} history"

        def expected(table: Expectation) -> Found:
            shown = frozenset(_versions_seen(table, caller, [item]))
            return {name: table.refuses_versions(caller, item.type) or shown or 404}

        def read(answers: Sequence[httpx.Response]) -> Found:
            return {name: _versions_in(answers, self.world)}

        return Question(caller, "history of one", "GET", f"/{item.address}/_history", read, expected)

    @staticmethod
    def _status(table: Expectation, caller: Caller, item: Item, otherwise: Any) -> Any:
        return table.refusal(caller, item.type, "r") or otherwise

    # -- histories -------------------------------------------------------------------------------------------

    def histories(self) -> Iterator[Question]:
        """Of each type, and of the whole system; in pages."""
        since = [("_since", self.world.begun), ("_count", "37")]

        def read(answers: Sequence[httpx.Response]) -> Found:
            return {"versions": _versions_in(answers, self.world)}

        for caller in self.callers:
            for kind in self.types:

                def of_type(table: Expectation, caller: Caller = caller, kind: str = kind) -> Found:
                    shown = frozenset(_versions_seen(table, caller, self.world.of(kind)))
                    return {"versions": table.refuses_versions(caller, kind) or shown}

                yield Question(
                    caller, f"history of {kind}", "GET", f"/{kind}/_history?{urlencode(since)}", read, of_type
                )

        yield from self._whole_histories()

    def _whole_histories(self) -> Iterator[Question]:
        """The history of the system shows the types that one may read."""
        query = urlencode([("_since", self.world.begun), ("_count", "101")])

        def read(answers: Sequence[httpx.Response]) -> Found:
            found = _versions_in(answers, self.world)
            return {"versions": found if isinstance(found, frozenset) else frozenset()}

        for caller in self.callers:

            def expected(table: Expectation, caller: Caller = caller) -> Found:
                return {"versions": frozenset(_versions_seen(table, caller, self.world.items.values()))}

            yield Question(caller, "history of the system", "GET", f"/_history?{query}", read, expected)

    # -- searches --------------------------------------------------------------------------------------------

    def searches(self, *ways_wanted: str) -> Iterator[Question]:
        """Every way, or these, to search a type for everything that the world has of it."""
        begun, ended = self.world.begun, self.world.ended
        window: Pairs = [("_lastUpdated", f"ge{begun}"), ("_lastUpdated", f"le{ended}"), ("_count", "200")]
        within = f'_lastUpdated ge "{begun}" and _lastUpdated le "{ended}"'
        for kind in self.types:
            ids = ",".join(item.id for item in self.world.of(kind))
            ways: dict[str, tuple[str, Pairs]] = {
                "search": ("GET", window),
                "POST _search": ("POST", window),
                "search by _id": ("GET", [("_id", ids), ("_count", "200")]),
                "pages, sorted": ("GET", [*window[:2], ("_count", "4"), ("_sort", "-_lastUpdated")]),
                "pages by _id": ("GET", [("_id", ids), ("_count", "3"), ("_sort", "_id")]),
                "_filter": ("GET", [("_filter", within), ("_count", "200")]),
                "_content": ("GET", [("_content", WORD), *window]),
                "_text": ("GET", [("_text", WORD), *window]),
                "of the system": ("GET", [("_type", kind), *window]),
                "_elements": ("GET", [("_elements", "id"), *window]),
            }
            for way, (method, pairs) in ways.items():
                if way not in (ways_wanted or ways.keys() - set(ALONE)):
                    continue
                for caller in self.callers:
                    yield self._search(caller, kind, way, method, pairs)
            for caller in self.callers if not ways_wanted else ():
                for way, pairs in {
                    "_summary=count": [*window[:2], ("_summary", "count")],
                    "_total": [("_id", ids), ("_total", "accurate"), ("_count", "1")],
                }.items():
                    yield self._count(caller, kind, way, pairs)

    def whole_searches(self) -> Iterator[Question]:
        """All the types that one may search, in one search of the system, in pages."""
        for caller in self.callers:
            mine = [kind for kind in self.types if Expectation().refusal(caller, kind, "s") is None]
            pairs = [
                ("_type", ",".join(mine)),
                ("_id", ",".join(item.id for kind in mine for item in self.world.of(kind))),
                ("_count", "23"),
            ]

            def expected(table: Expectation, caller: Caller = caller, mine: list[str] = mine) -> Found:
                return {"shown": frozenset(i.name for kind in mine for i in self._seen(table, caller, kind))}

            def read(answers: Sequence[httpx.Response]) -> Found:
                return {"shown": _shown(answers, self.world)}

            yield Question(caller, "search of the system", "POST", "/_search", read, expected, form=pairs)

    def compartments(self) -> Iterator[Question]:
        """What belongs to each person, whoever they are to the caller."""
        for owner, kind in COMPARTMENTS:
            for caller in self.callers:
                for item in self.world.living(owner):
                    name = f"{item.name}/{kind}"

                    def expected(
                        table: Expectation, caller: Caller = caller, of: Item = item, kind: str = kind,
                        name: str = name,
                    ) -> Found:  # fmt: skip
                        seen = (i.name for i in self._seen(table, caller, kind) if i.refers_to(of))
                        refused = table.refusal(caller, kind, "s")
                        return {name: refused or frozenset(seen)}

                    def read(answers: Sequence[httpx.Response], name: str = name) -> Found:
                        return {name: _shown(answers, self.world)}

                    url = f"/{item.address}/{kind}?_count=50"
                    yield Question(caller, "compartment", "GET", url, read, expected)

    def walks(self) -> Iterator[Question]:
        """_include, _revinclude, _has and chains: what a search leads to is judged as what it finds."""
        for source, parameter, target in INCLUDES:
            if source not in self.types or target not in self.types:
                continue
            of_source, of_target = (",".join(i.id for i in self.world.of(kind)) for kind in (source, target))

            def referred(table: Expectation, caller: Caller, s: str = source, t: str = target) -> set[str]:
                froms, tos = self._seen(table, caller, s), self._seen(table, caller, t)
                return {to.name for to in tos for one in froms if one.refers_to(to)}

            def referring(table: Expectation, caller: Caller, s: str = source, t: str = target) -> set[str]:
                froms, tos = self._seen(table, caller, s), self._seen(table, caller, t)
                return {one.name for to in tos for one in froms if one.refers_to(to)}

            typed = f"{source}:{parameter}:{target}"
            for caller in self.callers:
                for way, kind, pairs, shown, mode in (
                    ("_include", source, [("_id", of_source), ("_include", typed)], referred, "include"),
                    ("_revinclude", target, [("_id", of_target), ("_revinclude", typed)], referring, "include"),
                    ("_has", target, [(f"_has:{source}:{parameter}:_id", of_source)], referred, "match"),
                    ("chain", source, [(f"{parameter}:{target}._id", of_target)], referring, "match"),
                ):  # fmt: skip
                    yield self._walk(caller, f"{way} {typed}", kind, pairs, shown, mode)

    def _walk(
        self,
        caller: Caller,
        way: str,
        kind: str,
        pairs: Pairs,
        shown: Callable[[Expectation, Caller], set[str]],
        mode: str,
    ) -> Question:
        def expected(table: Expectation) -> Found:
            refused = table.refusal(caller, kind, "s")
            return {mode: refused or frozenset(shown(table, caller))}

        def read(answers: Sequence[httpx.Response]) -> Found:
            return {mode: _shown(answers, self.world, mode)}

        asked = urlencode([*pairs, *self._every(kind), ("_count", "200")])
        return Question(caller, way, "GET", f"/{kind}?{asked}", read, expected)

    def _search(self, caller: Caller, kind: str, way: str, method: str, pairs: Pairs) -> Question:
        def expected(table: Expectation) -> Found:
            refused = table.refusal(caller, kind, "s")
            return {kind: refused or frozenset(item.name for item in self._seen(table, caller, kind))}

        def read(answers: Sequence[httpx.Response]) -> Found:
            return {kind: _shown(answers, self.world)}

        asked = [*pairs, *self._every(kind)]
        if method == "POST":
            return Question(caller, way, "POST", f"/{kind}/_search", read, expected, form=asked)
        base = "" if way == "of the system" else f"/{kind}"
        return Question(caller, way, "GET", f"{base}?{urlencode(asked)}", read, expected)

    def _count(self, caller: Caller, kind: str, way: str, pairs: Pairs) -> Question:
        def expected(table: Expectation) -> Found:
            refused = table.refusal(caller, kind, "s")
            return {kind: refused or ("total", len(self._seen(table, caller, kind)))}

        def read(answers: Sequence[httpx.Response]) -> Found:
            status = answers[0].status_code
            return {kind: ("total", answers[0].json()["total"]) if status == 200 else status}

        url = f"/{kind}?{urlencode([*pairs, *self._every(kind)])}"
        return Question(caller, way, "GET", url, read, expected)

    def _seen(self, table: Expectation, caller: Caller, kind: str) -> list[Item]:
        return [item for item in self.world.living(kind) if table.sees(caller, item)]

    @staticmethod
    def _every(kind: str) -> Pairs:
        return [ALL_STATUSES] if kind == "Slot" else []


# -- what answers say -------------------------------------------------------------------------------------------


def _status_of(name: str) -> Callable[[Sequence[httpx.Response]], Found]:
    return lambda answers: {name: answers[0].status_code}


def _shown(answers: Sequence[httpx.Response], world: World, mode: str = "match") -> Any:
    """The names of what was shown in a mode; the status of a refusal. What is not the world's is named by its address."""
    if answers[0].status_code != 200:
        return answers[0].status_code
    entries = [entry for answer in answers for entry in answer.json().get("entry", ())]
    shown = [
        "/".join(entry["fullUrl"].split("/")[-2:]) for entry in entries if entry["search"]["mode"] == mode
    ]
    assert mode == "include" or len(shown) == len(set(shown)), "nothing is shown twice"
    return frozenset(world.by_address[a].name if a in world.by_address else a for a in shown)


def _versions_in(answers: Sequence[httpx.Response], world: World) -> Any:
    """`name v2` for each version of the world's in a history; the status of a refusal."""
    if answers[0].status_code != 200:
        return answers[0].status_code
    found = set()
    for entry in (entry for answer in answers for entry in answer.json().get("entry", ())):
        item = world.by_address.get("/".join(entry["fullUrl"].split("/")[-2:]))
        number = entry["response"]["etag"].removeprefix("W/").strip('"')
        if item is not None and int(number) <= len(item.versions):
            found.add(f"{item.name} v{number}")
    return frozenset(found)


def _versions_seen(table: Expectation, caller: Caller, items: Any) -> Iterator[str]:
    for item in (item for item in items if not table.refuses_versions(caller, item.type)):
        for number, version in enumerate(item.versions, 1):
            if table.sees(caller, item, "r", version):
                yield f"{item.name} v{number}"
