"""What stood in the database before there was a holder of an INS: taken over with the digests that the code makes."""

from __future__ import annotations

import asyncio

from alembic import command
from alembic.config import Config
from services.booking.tests.factories import patient
from services.booking.tests.practice import Practice

from creneau_booking.domain.identity import address_digest, addresses_of, ins_of
from creneau_booking.storage.people.identities import vouched
from creneau_shared.database.migrations import find_migrations

INS = {"system": "urn:oid:1.2.250.1.213.1.4.10", "value": "2 55 06 99 999 000 02"}
TELECOM = [
    {"system": "email", "value": " Camille@Exemple.FR "},
    {"system": "phone", "value": "06 39.98-00 01"},
    {"system": "sms", "value": "0033 (0)6 39 98 00 02"},
    {"system": "url", "value": "https://exemple.fr"},
]


async def _migrate(practice: Practice, to: str, *, back: bool = False) -> None:
    config = Config()
    config.set_main_option("script_location", str(find_migrations("creneau_booking")))
    config.attributes["url"] = str(practice.settings.database_url)
    await asyncio.to_thread(command.downgrade if back else command.upgrade, config, to)


async def test_holders_and_vouched_addresses_are_found_in_what_stands(fresh: Practice) -> None:
    """The first of two holds the INS; a practice answers for what no patient's account has registered."""
    first = {**patient(identifier=[INS], telecom=TELECOM), "id": "first"}
    await _migrate(fresh, "0008-1", back=True)
    for resource in (
        first,
        {**first, "id": "second"},
        {**patient(), "id": "of-an-account"},
        {**patient(identifier=[{**INS, "value": "255069999900003"}], active=False), "id": "out-of-use"},
        {"resourceType": "Patient", "id": "bare"},
    ):
        await fresh.put(resource)
    await fresh.database.pool.execute("INSERT INTO patient_account VALUES ('i', 's', 'of-an-account')")
    await _migrate(fresh, "head")
    rows = await fresh.database.pool.fetch("SELECT digest, patient_id FROM patient_ins")
    assert {(row["digest"], row["patient_id"]) for row in rows} == {(d, "first") for d in ins_of(first)}
    async with fresh.database.connection() as connection:
        assert await vouched(connection, "first") == {
            address_digest("first", *address) for address in addresses_of(first)
        }
        assert len(await vouched(connection, "second")) == 3
        assert await vouched(connection, "of-an-account") == frozenset()
