"""Structured logs: one JSON object a line, with the request's correlation id and without personal data."""

from __future__ import annotations

import errno as _errno
import logging
import re
import sys
import time
import traceback
from collections.abc import Callable, MutableMapping
from typing import Protocol

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from creneau_shared.correlation import correlation_id

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

OWN_LOGGERS = (
    "creneau", "creneau_booking", "creneau_directory", "creneau_gateway", "creneau_notifications", "creneau_shared",
    "creneau_web",
)  # fmt: skip
"""Our own loggers: their level comes from the settings."""
HARMLESS_LOGGERS = ("aiokafka", "alembic", "uvicorn")
"""Libraries whose INFO messages have only members, schemas and ports. All others log only warnings and above: httpx logs
each requested address with its query, and at DEBUG several libraries log bodies."""


def redact_text(text: str) -> str:
    """`text` without credentials, national identifiers, telephone numbers and e-mail addresses."""
    for pattern in PATTERNS:
        text = pattern.sub(REDACTED, text)
    return text


def redact(value: object) -> object:
    """`value` without the values of secret keys and texts that look like a secret, at any depth."""
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


def describe(error: BaseException) -> str:
    """The loggable description of an exception: its class, and details of the class that hold no data.

    The text of an exception may hold personal data: PostgreSQL's has the row (`Key (value)=(…) already exists`), a mail
    server's the recipient, a parser's the unreadable line.
    """
    name = type(error).__qualname__
    details: dict[str, object] = {
        "sqlstate": getattr(error, "sqlstate", None),
        "table": getattr(error, "table_name", None),
        "constraint": getattr(error, "constraint_name", None),
        "errno": _errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None,
    }
    said = ", ".join(f"{key} {value}" for key, value in details.items() if isinstance(value, str))
    return f"{name} ({said})" if said else name


def _traceback(error: BaseException) -> str:
    """The traceback with its causes first: places and classes, without exception texts or lines of source."""
    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = [f"  {f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(current.__traceback__)]
        lines[:0] = [*frames, describe(current)]
        if isinstance(current, BaseExceptionGroup):
            lines += [describe(part) for part in current.exceptions]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\n".join(lines)


def without_texts(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The processor that writes exceptions anywhere in the event as `describe` does."""
    exc_info = event.pop("exc_info", None)
    event.pop("stack_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        event["exception"] = _traceback(error)
    for key, value in event.items():
        if isinstance(value, BaseException):
            event[key] = describe(value)
    return event


def _foreign_text(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Reduces a library's message to its first line (asyncio adds the repr of a task and its exception)."""
    event["event"] = str(event["event"]).partition("\n")[0]
    return event


class ArgumentsFilter(logging.Filter):
    """Replaces exceptions among a message's arguments, as libraries pass them, by their `describe` text."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                describe(argument) if isinstance(argument, BaseException) else argument
                for argument in record.args
            )
        if isinstance(record.msg, BaseException):
            record.msg = describe(record.msg)
        return True


def redaction(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The processor that applies `redact` to every event."""
    redacted = redact(dict(event))
    assert isinstance(redacted, dict)
    return redacted


class RepeatFilter(logging.Filter):
    """Passes one message of a kind in `seconds`, so that a client that retries ten times a second logs it once."""

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
    """A process's settings of its logs: level (DEBUG … ERROR), and format (`json` or `console`)."""

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
        without_texts,
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
            foreign_pre_chain=[_foreign_text, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(settings.log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    root.setLevel(max(level, logging.WARNING))
    for name in OWN_LOGGERS:
        logging.getLogger(name).setLevel(level)
    for name in HARMLESS_LOGGERS:
        logging.getLogger(name).setLevel(max(level, logging.INFO))
    handler.addFilter(ArgumentsFilter())
    repeat = RepeatFilter()
    handler.addFilter(lambda record: not record.name.startswith(NOISY_LOGGERS) or repeat.filter(record))


def _renderer(log_format: str) -> Processor:
    if log_format == "console":
        return structlog.dev.ConsoleRenderer(colors=False)
    return _render_json


def _render_json(_: WrappedLogger, __: str, event: MutableMapping[str, object]) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z).decode()
