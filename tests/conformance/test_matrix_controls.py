"""The matrix fails when it should: against another table than that in force, and when the table itself is loosened."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from deploy.contracts import servers

import creneau_booking.app
from creneau_booking.settings import BookingSettings
from creneau_shared.app import ServiceApplication
from creneau_shared.security import rights, role_table
from creneau_shared.security.principal import Action, Role
from creneau_shared.security.role_table import Reach
from tests.conformance.matrix.batches import in_batches
from tests.conformance.matrix.expectation import Expectation, ReachOf
from tests.conformance.matrix.questions import Asker, Difference, Question, differences
from tests.conformance.matrix.reading import Reading
from tests.conformance.matrix.world import World
from tests.conformance.matrix.writing import Writing
from tests.fixtures.stack import Stack

STRICT: ReachOf = role_table.reach_of

CELLS: list[tuple[Role, str, Action, Reach]] = [
    ("public", "Slot", "s", "all"),
    ("patient", "Appointment", "s", "all"),
    ("patient", "Patient", "r", "all"),
    ("patient", "AppointmentResponse", "s", "none"),
    ("secretary", "Patient", "s", "all"),
    ("secretary", "Appointment", "r", "all"),
    ("software", "Provenance", "s", "all"),
    ("practitioner", "RelatedPerson", "r", "none"),
    ("counsellor", "Appointment", "s", "all"),
    ("regulator", "Slot", "s", "public"),
    ("secretary", "Location", "u", "all"),
    ("patient", "RelatedPerson", "d", "none"),
]
"""role, type, action, and another reach than the table's"""


def loosened(role: Role, kind: str, action: Action, reach: Reach) -> ReachOf:
    """The table with another reach in one cell."""
    return lambda r, k, a: reach if (r, k, a) == (role, kind, action) else STRICT(r, k, a)


def questions(world: World, role: Role, kind: str, action: Action) -> Iterator[Question]:
    """What is asked of a type by everybody of a role."""
    callers = [caller for caller in world.callers.values() if caller.role == role]
    reading = Reading(world, callers, [kind])
    if action in ("r", "s"):
        yield from in_batches([*reading.instances(), *reading.searches()])
    else:
        yield from in_batches(q for q in Writing(world, callers).changes() if q.url.startswith(f"/{kind}/"))


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: " ".join(cell))
def test_another_table_than_that_in_force_is_told_from_it(
    world: World, cell: tuple[Role, str, Action, Reach]
) -> None:
    asked = Asker(world.stack.fhir).ask(questions(world, *cell[:3]))
    assert differences(asked) == [], "the table in force"
    assert differences(asked, Expectation(loosened(*cell)))


def booking(stack: Stack) -> ServiceApplication:
    """Booking within this process, over the stack's database and issuer."""
    settings = BookingSettings(
        database_url=stack.database_url("booking"),
        oidc_issuer=stack.issuer.url,
        contact_keys=stack.contact_keys,
        public_base_url=stack.fhir,
        database_pool_size=4,
        # On a busy machine the rights are asked for all the same.
        database_pool_wait_s=60,
        database_statement_timeout_s=60,
        request_timeout_s=120,
        anonymous_requests_per_s=0,
        patient_requests_per_s=0,
        staff_requests_per_s=0,
        software_requests_per_s=0,
        anonymous_body_bytes_max=8_000_000,
        patient_body_bytes_max=8_000_000,
    )
    return creneau_booking.app.create_app(settings)


@pytest.mark.parametrize("cell", CELLS[:9], ids=lambda cell: " ".join(cell))
async def test_a_table_that_is_loosened_is_caught(
    world: World, monkeypatch: pytest.MonkeyPatch, cell: tuple[Role, str, Action, Reach]
) -> None:
    """The very code that answers, with one cell changed: what it lets out, or no longer lets out, is named."""
    asked = list(questions(world, *cell[:3]))
    strict = Expectation(STRICT)
    assert await _answered_here(world.stack, asked, strict) == []
    monkeypatch.setattr(rights, "reach_of", loosened(*cell))
    rights.required_alone.cache_clear()
    try:
        caught = await _answered_here(world.stack, asked, strict)
    finally:
        rights.required_alone.cache_clear()
    assert caught


async def _answered_here(stack: Stack, asked: list[Question], table: Expectation) -> list[Difference]:
    app = booking(stack)
    async with app.fhir.service.database, app.fhir.service.limits.database:
        asker = Asker(stack.fhir, httpx.ASGITransport(app))
        try:
            return differences(await asker.ask_all(asked), table)
        finally:
            await app.fhir.service.workshop.close()


def test_a_type_or_an_operation_without_a_row_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever adds one and forgets the table does not get a server."""
    for table, row in (
        ("TYPES", "Slot"),
        ("TYPES", "Location"),
        ("OPERATIONS", "find"),
        ("OPERATIONS", "validate"),
    ):
        with monkeypatch.context() as patched:
            kept = {name: value for name, value in getattr(role_table, table).items() if name != row}
            patched.setattr(role_table, table, kept)
            with pytest.raises(ValueError, match=row):
                list(servers())
    assert list(servers())
