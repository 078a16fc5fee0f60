"""The trace of a refusal is no reason to answer something else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NoReturn, cast

import asyncpg
import pytest

from creneau_shared.errors import Conflict, Unavailable
from creneau_shared.fhir.rest.refusals import audit_refusal


@pytest.mark.parametrize(
    "failure",
    [Unavailable("trop", "too many"), asyncpg.CannotConnectNowError("starting"), ConnectionResetError()],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_refusal_is_answered_though_its_trace_cannot_be_written(failure: Exception) -> None:
    """Nobody gives a connection back in time, or the database is about to be another one: a time that is taken stays 409,
    and is no 503 that has a client try it again."""

    def connection() -> NoReturn:
        raise failure

    service = SimpleNamespace(types={"Appointment": None}, connection=connection)
    request = SimpleNamespace(
        principal=SimpleNamespace(anonymous=False), path=("Appointment", "a"), method="PUT"
    )
    await audit_refusal(cast(Any, service), cast(Any, request), Conflict("pris", "taken"))
