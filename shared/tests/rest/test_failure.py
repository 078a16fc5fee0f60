"""What a caller is told of an error that no rule foresees."""

from __future__ import annotations

import asyncpg
import pytest

from creneau_shared.fhir.rest.failure import failure
from creneau_shared.messaging.failures import TRANSIENT


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.DiskFullError("could not extend file"),
        asyncpg.OutOfMemoryError("out of memory"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        ConnectionResetError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_database_that_cannot_now_is_no_defect(error: Exception) -> None:
    """The same request may succeed later: clients repeat it after Retry-After, and a consumer reads its event again."""
    answer = failure(error, "fr")
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert isinstance(error, TRANSIENT)


def test_what_nobody_foresaw_is_a_defect_and_says_nothing_of_itself() -> None:
    answer = failure(ValueError("jean.dupont@exemple.fr"), "fr")
    assert answer.status == 500
    assert b"jean" not in (answer.content or b"")
