"""What the issuer keeps between two requests, in one small file: sessions, codes, opaque tokens.

A handle is random and stands in the file as its SHA-256 only. What has been kept survives a restart of the issuer.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from creneau_shared.clock import Clock

Kind = Literal["session", "request", "code", "access", "refresh"]
Value = dict[str, Any]

_TABLE = """
CREATE TABLE IF NOT EXISTS kept (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, session TEXT NOT NULL, value TEXT NOT NULL,
    until REAL NOT NULL, used REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS kept_until ON kept (until);
CREATE INDEX IF NOT EXISTS kept_session ON kept (session);
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that was kept; `used_s`: how long ago it was used first, seconds, None when this is the first time."""

    value: Value
    session: str
    used_s: float | None


class Store:
    """Keeps values until their time, in the SQLite file `path` (`:memory:` for none)."""

    def __init__(self, path: Path | str, clock: Clock) -> None:
        self._clock = clock
        self._rows = sqlite3.connect(path, isolation_level=None)
        # Test people's sessions: a crash of the machine may cost some.
        self._rows.execute("PRAGMA journal_mode = WAL")
        self._rows.execute("PRAGMA synchronous = OFF")
        self._rows.executescript(_TABLE)
        if path != ":memory:":
            Path(path).chmod(0o600)

    def keep(self, kind: Kind, value: Value, lifetime_s: float, session: str = "") -> str:
        """Keep a value; returns its handle."""
        now, handle = self._now(), secrets.token_urlsafe(32)
        self._rows.execute("DELETE FROM kept WHERE until < ?", (now,))
        self._put(handle, kind, session, value, now + lifetime_s)
        return handle

    def begin_session(self, value: Value, lifetime_s: float) -> str:
        """Keep a session; `end_session` ends it with all kept under its name. Returns the name."""
        name = str(uuid4())
        self._put(name, "session", name, value, self._now() + lifetime_s)
        return name

    def session(self, name: str) -> Value | None:
        """A session that has not ended; None for others."""
        found = self._find("session", name)
        return found.value if found else None

    def read(self, kind: Kind, handle: str) -> Kept | None:
        """The value under a handle, used already or not; None when there is nothing (any more)."""
        return self._find(kind, handle)

    def use(self, kind: Kind, handle: str) -> Kept | None:
        """As `read`, and marks the value as used."""
        found = self._find(kind, handle)
        if found is not None and found.used_s is None:
            self._rows.execute("UPDATE kept SET used = ? WHERE name = ?", (self._now(), _digest(handle)))
        return found

    def end_session(self, name: str) -> None:
        """Forget a session and whatever was given in it."""
        self._rows.execute("DELETE FROM kept WHERE session = ?", (name,))

    def close(self) -> None:
        self._rows.close()

    def _put(self, handle: str, kind: Kind, session: str, value: Value, until: float) -> None:
        row = (_digest(handle), kind, session, json.dumps(value), until)
        self._rows.execute("INSERT INTO kept (name, kind, session, value, until) VALUES (?, ?, ?, ?, ?)", row)

    def _find(self, kind: Kind, handle: str) -> Kept | None:
        now = self._now()
        row = self._rows.execute(
            "SELECT value, session, used FROM kept WHERE name = ? AND kind = ? AND until >= ?",
            (_digest(handle), kind, now),
        ).fetchone()
        if row is None:
            return None
        value, session, used = row
        return Kept(json.loads(value), session, None if used is None else now - used)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _digest(handle: str) -> str:
    return hashlib.sha256(handle.encode()).hexdigest()
