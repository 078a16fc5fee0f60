"""Looking for double bookings costs as much as has changed, whatever else there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from services.booking.tests.factories import appointment
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import open_surgery

from creneau_booking.storage.visits.doubles import DOUBLED, TOGETHER

APPOINTMENTS = 600
_OTHERS = """
INSERT INTO appointment (id, version, last_updated, content, terms, words, traits)
SELECT gen_random_uuid()::text, 1, now(), content,
  array_replace(terms, $2, 'slot=Slot/' || gen_random_uuid()), words, traits
FROM appointment, generate_series(1, $3) WHERE id = $1
"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def looked_at(plan: dict[str, Any]) -> float:
    """How many rows the nodes of a plan have given or thrown away."""
    total = 0.0
    for node in nodes(plan):
        removed = sum(value for name, value in node.items() if name.startswith("Rows Removed"))
        total += node["Actual Loops"] * (node["Actual Rows"] + removed)
    return total


async def test_appointments_are_not_compared_with_all_others(fresh: Practice) -> None:
    """Joined otherwise, each would be compared with each, since that looks cheap to the planner: of what a busy hour brings,
    minutes of a core each minute."""
    surgery = await open_surgery(fresh)
    first = await fresh.create(
        appointment("booked", slots=surgery.slots[:1], patient=await fresh.new_patient())
    )
    pool = fresh.database.pool
    await pool.execute(_OTHERS, first.id, f"slot=Slot/{surgery.slots[0]}", APPOINTMENTS)
    await pool.execute("ANALYZE appointment")
    rows = await pool.fetch("SELECT id FROM appointment LIMIT $1", TOGETHER)
    found = await pool.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {DOUBLED}", [row["id"] for row in rows])
    assert looked_at(json.loads(found)[0]["Plan"]) < 20 * (APPOINTMENTS + TOGETHER)
