"""Logs are JSON lines with the correlation id, and name no one."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator

import asyncpg
import orjson
import pytest
import structlog

from creneau_shared.correlation import set_correlation_id
from creneau_shared.logging import REDACTED, RepeatFilter, configure_logging, redact, redact_text
from creneau_shared.settings import ServiceSettings

Lines = Callable[[], list[dict[str, str]]]


@pytest.mark.parametrize(
    "secret",
    [
        "Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "camille.martin@exemple.fr",
        "185057800608436",
        "1850578006084",
        "1 85 05 78 006 084 36",
        "2 69 05 2A 588 157",
        "06 12 34 56 78",
        "0612345678",
        "+33612345678",
        "+33 6 12 34 56 78",
    ],
)
def test_a_secret_within_a_sentence_is_taken_out(secret: str) -> None:
    assert redact_text(f"refusé pour {secret} ce jour") == f"refusé pour {REDACTED} ce jour"


@pytest.mark.parametrize(
    "text",
    [
        "0199f3a1-7c44-7d52-8a34-0123456789ab",
        "2026-11-22T02:14:17.927206Z",
        "Slot/01993456-1278-7000-8000-000000000000 at offset 1234567",
        "creneau.booking.appointments partition 11",
        "10.0.0.12:5432",
        "RPPS 81001234567",
    ],
)
def test_what_an_operator_needs_stays(text: str) -> None:
    assert redact_text(text) == text


def test_secret_keys_lose_their_values_however_deep() -> None:
    event = {
        "event": "refused",
        "Authorization": "abc",
        "resource": {"id": "p1", "telecom": [{"value": "x"}], "identifier": [{"value": "y"}]},
        "rows": [{"name": "Camille", "version": 2}],
        "email": None,
        "number": 185057800608436,
        "body": b"\x00\x01",
    }
    assert redact(event) == {
        "event": "refused",
        "Authorization": REDACTED,
        "resource": {"id": "p1", "telecom": REDACTED, "identifier": REDACTED},
        "rows": [{"name": REDACTED, "version": 2}],
        "email": None,
        "number": REDACTED,
        "body": "[2 bytes]",
    }


def test_credentials_of_a_url_are_taken_out() -> None:
    assert redact_text("postgresql://creneau:hunter2@db/booking") == f"postgresql://{REDACTED}@db/booking"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """Logging as a service configures it, into memory; call for the lines as objects."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    settings = ServiceSettings(database_url="postgresql://u@h/d", log_level="INFO")
    configure_logging(settings, "creneau-test")
    yield lambda: [orjson.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    set_correlation_id(None)


def test_a_line_is_json_with_the_correlation_id(lines: Lines) -> None:
    set_correlation_id("abc-1")
    structlog.get_logger("creneau").info("booked", slot="Slot/1", name="Camille")
    (line,) = lines()
    assert line.pop("timestamp")
    assert line == {
        "event": "booked",
        "level": "info",
        "logger": "creneau",
        "service": "creneau-test",
        "correlation_id": "abc-1",
        "slot": "Slot/1",
        "name": REDACTED,
    }


def test_libraries_and_exceptions_are_redacted_too(lines: Lines) -> None:
    try:
        raise ValueError("unknown 1850578006084")
    except ValueError:
        logging.getLogger("library").exception("failed for %s", "a@exemple.fr")
    (line,) = lines()
    assert line["event"] == f"failed for {REDACTED}"
    assert line["exception"].splitlines()[-1] == "ValueError"
    assert "test_logging.py" in line["exception"], "where it happened"
    assert "unknown" not in str(line), "nobody knows what an exception's text holds"


def test_what_postgresql_says_of_a_row_is_not_written(lines: Lines) -> None:
    """A unique violation's text names the row: `Key (value)=(Canari) already exists`."""
    error = asyncpg.UniqueViolationError("duplicate key")
    error.detail, error.table_name, error.constraint_name = "Key (value)=(Canari)", "patient", "uq_patient"
    try:
        try:
            raise error
        except asyncpg.UniqueViolationError as cause:
            raise RuntimeError("Canari") from cause
    except RuntimeError as raised:
        structlog.get_logger("creneau").exception("failed", cause=raised)
        logging.getLogger("library").warning("died of %s", raised)
        logging.getLogger("library").error(raised)
    written = lines()
    assert written[0]["cause"] == "RuntimeError"
    assert (
        "UniqueViolationError (sqlstate 23505, table patient, constraint uq_patient)"
        in written[0]["exception"]
    )
    assert [line["event"] for line in written] == ["failed", "died of RuntimeError", "RuntimeError"]
    assert "Canari" not in str(written)


def test_a_task_that_died_unheard_tells_no_more_than_that(lines: Lines) -> None:
    """asyncio adds the repr of the task and of what it died of, on further lines."""
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: ValueError('Canari')")
    assert [line["event"] for line in lines()] == ["Task exception was never retrieved"]


def test_libraries_tell_no_addresses(lines: Lines) -> None:
    """httpx tells each address that it asks for at INFO, with what is searched by."""
    logging.getLogger("httpx").info('HTTP Request: GET http://x/Patient?family=Canari "200 OK"')
    logging.getLogger("uvicorn.error").info("Started")
    structlog.get_logger("creneau_shared.worker").info("worker started")
    assert [line["event"] for line in lines()] == ["Started", "worker started"]


def test_a_message_that_repeats_is_said_once_in_a_while() -> None:
    now = 0.0
    repeat = RepeatFilter(10.0, lambda: now)
    record = logging.LogRecord("aiokafka", logging.ERROR, "client.py", 7, "down", None, None)
    other = logging.LogRecord("aiokafka", logging.ERROR, "client.py", 8, "other", None, None)
    assert [repeat.filter(record), repeat.filter(record), repeat.filter(other)] == [True, False, True]
    now = 10.0
    assert repeat.filter(record)
