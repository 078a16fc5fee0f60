"""What a slot costs is counted by the hundred million: nothing is added to its row or its indexes by the way."""

from __future__ import annotations

from uuid import uuid4

from services.booking.tests.factories import slot
from services.booking.tests.practice import Practice

FREE_BYTES_MAX = 100
"""of a slot that is called by a UUID and that nobody has: its header of 32 bytes, and what is in it"""
INDEXES = {
    "PRIMARY KEY, btree (schedule_key, start, id)",
    "hash (id)",
    "btree (start)",
    'brin ("end")',
    "brin (last_updated)",
    "gin (terms) WHERE (terms IS NOT NULL)",
    "gin (words) WHERE (words IS NOT NULL)",
}
_INDEXES = """
SELECT CASE WHEN indisprimary THEN 'PRIMARY KEY, ' ELSE '' END || split_part(pg_get_indexdef(indexrelid), ' USING ', 2)
FROM pg_index WHERE indrelid = 'slot'::regclass
"""


async def test_a_slots_row_and_its_indexes_are_these(practice: Practice) -> None:
    """Whoever needs another column or index measures first (`python -m tests.load.slot_size`)."""
    agenda = await practice.open_agenda(0)
    id_ = str(uuid4())
    await practice.put(slot(id_, agenda.id, agenda.start))
    size = await practice.database.pool.fetchval(
        "SELECT pg_column_size(slot.*) FROM slot WHERE id = $1::text::uuid", id_
    )
    assert size <= FREE_BYTES_MAX
    indexes = {row[0] for row in await practice.database.pool.fetch(_INDEXES)}
    assert indexes == INDEXES
