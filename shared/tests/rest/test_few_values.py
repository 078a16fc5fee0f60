"""How many values an operation takes: as many as a search, whichever way they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from shared.tests.rest.test_parts_in_links import a_get

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.rest.parameters import OperationInput
from creneau_shared.fhir.search.request import Limits

MOST = Limits().values_max
JOINED = ",".join(f"|{n}" for n in range(MOST + 1))
REPEATED = [("a", f"|{n}") for n in range(MOST + 1)]
CODINGS = {"coding": [{"code": str(n)} for n in range(MOST + 1)]}


@pytest.mark.parametrize("read", [OperationInput.texts, OperationInput.references, OperationInput.codes])
@pytest.mark.parametrize("entries", [[("a", JOINED)], REPEATED], ids=["joined", "repeated"])
def test_one_more_than_a_search_takes_is_refused(
    read: Callable[..., Any], entries: list[tuple[str, Any]]
) -> None:
    assert read(OperationInput(entries[:MOST] if len(entries) > 1 else [("a", "|1,|2")]), "a")
    with pytest.raises(BadRequest) as refused:
        read(OperationInput(entries), "a")
    [issue] = refused.value.issues
    assert (issue.code, issue.expression) == ("too-costly", ("http.a",))


def test_codings_of_one_concept_are_values() -> None:
    with pytest.raises(BadRequest):
        OperationInput([("a", CODINGS)]).codes("a")


async def test_references_are_counted_before_one_is_looked_up() -> None:
    looked_up: list[str] = []

    async def known_as(name: str, reference: dict[str, Any]) -> dict[str, Any]:
        looked_up.append(name)
        return reference

    with pytest.raises(BadRequest):
        await OperationInput([("a", "|1"), ("b", JOINED)]).naming(("a", "b"), known_as)
    assert looked_up == []


def test_commas_of_a_free_text_are_no_values() -> None:
    note = "oui, " * MOST * 2
    assert OperationInput.of(a_get(note, sealed=False)).first("timing") == note
