"""No question of people's search reads the index from end to end, however large it is."""

from __future__ import annotations

import pytest
from services.directory.tests.care.conftest import Care

from creneau_directory.domain.care.criteria import Near
from creneau_directory.domain.care.plan import Wanted, order_of, steps
from creneau_directory.domain.care.reading.facts import KnownNames
from creneau_directory.domain.care.reading.reader import reader
from creneau_directory.domain.care.vocabulary import vocabulary
from creneau_directory.storage.care_search import statement

NAMES = KnownNames({"payet": (("payet",), 1.0)})


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("dentiste rennes", None),
        ("mal au dos", None),
        ("dr payet", None),
        ("dermato femme secteur 1 lyon 3", None),
        ("sage-femme bretagne", None),
        ("dentiste", Near(48.11, -1.67, 50.0)),
    ],
)
async def test_every_step_goes_by_the_index(care: Care, text: str, near: Near | None) -> None:
    """The planner is told to avoid what it would prefer on a small table: where it cannot, it says so all the same."""
    wanted = Wanted(reader().read(text, NAMES), near)
    order = order_of(wanted, vocabulary(), by_distance=False)
    async with care.directory.database.transaction() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        for step in steps(wanted, vocabulary()):
            sql, arguments = statement(step.criteria, order, 100)
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {sql}", *arguments))
            assert "ix_care_situation_terms" in plan, step
            assert "Seq Scan on care_situation" not in plan, step
