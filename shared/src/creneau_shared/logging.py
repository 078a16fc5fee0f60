"""Structured logs: one JSON object a line, with the request's correlation id and without anyone's data."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, MutableMapping
from typing import Protocol

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from creneau_shared.http.correlation import correlation_id

REDACTED = "[redacted]"

SECRET_KEYS = frozenset(
    {
        "access_token", "address", "authorization", "birth_date", "birthdate", "client_secret", "comment",
        "contact", "cookie", "cursor_secret", "data", "description", "email", "family", "given", "id_token",
        "identifier", "ins", "mail", "mobile", "name", "nir", "note", "password", "patient_instruction",
        "phone", "recipient", "refresh_token", "secret", "set-cookie", "sms", "tel", "telecom", "token",
        "value",
    }
)  # fmt: skip
"""Keys whose values are never written, in lower case."""

PATTERNS = (
    re.compile(r"(?i)\b(?:bearer|basic|dpop)\s+[\w.~+/=-]+"),
    re.compile(r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"),
    re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"),
    # The INS is the NIR: 13 digits, or 15 with its key; 2A and 2B are Corsica's départements.
    re.compile(
        r"(?<![\w-])[1-478]\s?\d{2}\s?\d{2}\s?(?:\d{2}|2[ABab])\s?\d{3}\s?\d{3}(?:\s?\d{2})?(?![\w-])"
    ),
    re.compile(r"(?<![\w-])(?:\+\d{2,3}\s?|0)[1-9](?:[\s.-]?\d{2}){4}(?![\w-])"),
    re.compile(r"(?i)(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
)
"""Bearer and JWT strings, e-mail addresses, INS-like numbers, telephone numbers, credentials in a URL."""

REPEAT_S = 10.0
NOISY_LOGGERS = ("aiokafka", "uvicorn.error")


def redact_text(text: str) -> str:
    """`text` without credentials, national identifiers, telephone numbers and e-mail addresses."""
    for pattern in PATTERNS:
        text = pattern.sub(REDACTED, text)
    return text


def redact(value: object) -> object:
    """`value` with the values of secret keys and what looks like a secret taken out, however deep."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return f"[{len(value)} bytes]"
    if isinstance(value, dict):
        return {
            key: REDACTED if str(key).lower() in SECRET_KEYS and item is not None else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and redact_text(str(value)) == REDACTED:
        return REDACTED
    return value


def redaction(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The processor that no event passes by: `redact` over all of it."""
    redacted = redact(dict(event))
    assert isinstance(redacted, dict)
    return redacted


class RepeatFilter(logging.Filter):
    """Lets one message of a kind pass in `seconds`: a client that retries ten times a second says it once."""

    def __init__(self, seconds: float = REPEAT_S, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds = seconds
        self._monotonic = monotonic
        self._last: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind, now = (record.pathname, record.lineno), self._monotonic()
        if now - self._last.get(kind, -self._seconds) < self._seconds:
            return False
        self._last[kind] = now
        return True


class LogSettings(Protocol):
    """What a process's settings say of its logs: DEBUG … ERROR, and `json` or `console`."""

    @property
    def log_level(self) -> str: ...

    @property
    def log_format(self) -> str: ...


def configure_logging(settings: LogSettings, service: str) -> None:
    """Send every log of the process, the libraries' too, to standard error as `settings` say.

    The correlation id, and whatever is bound with `structlog.contextvars`, is in every line of its request or
    event.
    """

    def add_context(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        if (current := correlation_id()) is not None:
            event["correlation_id"] = current
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        add_context,
        redaction,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(settings.log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    repeat = RepeatFilter()
    handler.addFilter(lambda record: not record.name.startswith(NOISY_LOGGERS) or repeat.filter(record))


def _renderer(log_format: str) -> Processor:
    if log_format == "console":
        return structlog.dev.ConsoleRenderer(colors=False)
    return _render_json


def _render_json(_: WrappedLogger, __: str, event: MutableMapping[str, object]) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z).decode()
