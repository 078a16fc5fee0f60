"""Writes that follow each other are a store's to write together; what it does not take, or fails at, is done alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from shared.tests.service.small import Small, bundle

from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import Stored, Write

PLACE = {"resourceType": "Organization", "name": "Cabinet des Lilas"}
WRONG = {"resourceType": "Organization", "active": "oui"}
Takes = Callable[[Write], bool]


class Together:
    """Lets the store of Organization write many, and notes what it was given and in how many parts."""

    def __init__(
        self, small: Small, monkeypatch: pytest.MonkeyPatch, takes: Takes = lambda write: True
    ) -> None:
        store = small.server.service.types["Organization"].store
        assert isinstance(store, GenericStore)
        self._store, self._takes = store, takes
        self.parts: list[list[str]] = []
        self.fails = False
        monkeypatch.setattr(store, "write_many", self.write_many, raising=False)

    async def write_many(self, connection: Connection, writes: Sequence[Write]) -> Sequence[Stored | None]:
        self.parts.append([str(write.resource["name"]) for write in writes])
        stored = [await self._one(connection, write) if self._takes(write) else None for write in writes]
        if self.fails:
            await connection.execute("SELECT 1 / 0")
        return stored

    async def _one(self, connection: Connection, write: Write) -> Stored:
        if write.is_new:
            return await self._store.create(connection, write.context, write.resource, write.id)
        return await self._store.put(connection, write.context, write.id, write.resource)


def named(name: str, **more: object) -> dict[str, object]:
    return {**PLACE, "name": name, **more}


async def test_a_run_is_given_to_the_store_without_what_a_check_refuses(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each entry has its answer in its place: made, replaced, refused, and done alone what the store leaves."""
    together = Together(small, monkeypatch, takes=lambda write: write.resource["name"] != "left")
    await small.system.ask("PUT", "Organization/old", named("old", id="old"))
    asked = bundle(
        "batch",
        ("POST", "Organization", named("a")),
        ("POST", "Organization", WRONG),
        ("POST", "Organization", named("left")),
        ("PUT", "Organization/old", named("b", id="old")),
        ("PUT", "Organization/new", named("c", id="other")),
        ("PUT", "Organization/new", named("d", id="new")),
    )
    said = await small.system.ask("POST", "", asked)
    assert together.parts == [["a", "left", "b"]]  # the entries of one id are never in one run
    responses = [entry["response"] for entry in said.resource["entry"]]
    assert [response["status"] for response in responses] == ["201", "400", "201", "200", "400", "201"]
    assert [response.get("etag") for response in responses[2:4]] == ['W/"1"', 'W/"2"']
    assert await small.count("organization") == 4


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_run_that_fails_is_undone_and_written_one_by_one(
    small: Small, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """What the database refuses the whole for, it may refuse one for: the others have nothing to do with it."""
    together = Together(small, monkeypatch)
    together.fails = True
    asked = bundle(kind, *(("POST", "Organization", named(name)) for name in "abcd"))
    said = await small.system.ask("POST", "", asked)
    assert together.parts == [list("abcd")]
    assert [entry["response"]["status"] for entry in said.resource["entry"]] == ["201"] * 4
    assert await small.count("organization") == 4


async def test_one_that_is_refused_undoes_a_transaction_with_its_runs(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told at the entry itself, and of two the first one is told."""
    together = Together(small, monkeypatch)
    asked = bundle(
        "transaction",
        *(("POST", "Organization", named(name)) for name in "abc"),
        ("POST", "Organization", WRONG),
        ("POST", "Organization", {"resourceType": "Organization", "id": 1}),
    )
    said = await small.system.ask("POST", "", asked)
    assert (said.status, together.parts) == (400, [list("abc")])
    assert said.resource["issue"][0]["expression"] == ["Bundle.entry[3].resource.active"]
    assert await small.count("organization") == 0


async def test_conditions_and_other_requests_end_a_run(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they say of the entries before them is true when their turn comes."""
    together = Together(small, monkeypatch)
    asked = bundle(
        "transaction", *(("PUT", f"Organization/{name}", named(name, id=name)) for name in "abcdefgh")
    )
    asked["entry"][3]["request"]["ifNoneMatch"] = "*"
    said = await small.system.ask("POST", "", asked)
    assert [entry["response"]["status"] for entry in said.resource["entry"]] == ["201"] * 8
    assert together.parts == [list("abc"), list("efgh")]
    again = await small.system.ask("POST", "", asked)
    assert (again.status, await small.count("resource_history")) == (412, 0)


async def test_who_may_not_write_has_nothing_written_together(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a patient nor somebody without a token."""
    together = Together(small, monkeypatch)
    asked = bundle("batch", *(("POST", "Organization", named(name)) for name in "abcd"))
    for caller, refused in ((small.patient("camille"), "403"), (small.nobody, "401")):
        said = await caller.ask("POST", "", asked)
        assert [entry["response"]["status"] for entry in said.resource["entry"]] == [refused] * 4
    assert (together.parts, await small.count("organization")) == ([], 0)
