"""What a caller is told of an error that no rule foresees."""

from __future__ import annotations

import asyncpg
import pytest

from creneau_shared.correlation import begin
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.rest.failure import failure
from creneau_shared.fhir.validation import validate
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


@pytest.mark.parametrize(
    ("named", "id_"),
    [("abc-1.2", "abc-1.2"), ("web_1:req_2", None), ("x" * 64, "x" * 64), ("x" * 65, None)],
)
def test_a_refusal_has_the_number_of_its_request_where_that_is_an_id(named: str, id_: str | None) -> None:
    """Strict readers lose the whole refusal by an id that is none; the header says the number in any case."""
    given = dict(begin(named.encode(), None))
    outcome = loads(failure(ValueError(), "fr").content or b"")
    assert given[b"x-request-id"] == named.encode()
    assert outcome.get("id") == id_
    assert not [issue for issue in validate(outcome) if issue.severity in ("error", "fatal")]
