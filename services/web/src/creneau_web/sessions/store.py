"""Sessions and drafts in PostgreSQL: found by the hash of the cookie, sealed by it, ended by time or by log-out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

import orjson

from creneau_shared.clock import Clock
from creneau_shared.database.pool import Connection, Database
from creneau_web.sessions.entering import Entered, SentForm
from creneau_web.sessions.seal import Seal
from creneau_web.sessions.session import Account, Content, Session, SessionOverError

SEEN_EVERY = timedelta(minutes=1)
"""how old the time of the last request may be: not every page writes a row"""

LEFT_FOR = timedelta(minutes=1)
"""how long a log-in form may be sent once more by a browser that keeps the old cookie"""

FIND = """
SELECT form_key, content, seen_at FROM session WHERE key_hash = $1 AND seen_at > $2 AND began_at > $3
"""
SEE = "UPDATE session SET seen_at = $2 WHERE key_hash = $1"
BEGIN = """
INSERT INTO session (key_hash, form_key, began_at, seen_at, content, provider_session) VALUES ($1, $2, $3, $3, $4, $5)
"""
LEAVE = """
INSERT INTO session (key_hash, form_key, began_at, seen_at, content) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (key_hash) DO NOTHING
"""
LOCK = "SELECT content FROM session WHERE key_hash = $1 FOR NO KEY UPDATE"
SAVE = "UPDATE session SET content = $2 WHERE key_hash = $1"
ROTATE = """
UPDATE session SET key_hash = $2, form_key = $3, began_at = $4, seen_at = $4, content = $5, provider_session = $6
WHERE key_hash = $1
"""
CLAIM_RENEWAL = """
UPDATE session SET renewed_until = $3 WHERE key_hash = $1 AND coalesce(renewed_until <= $2, true)
"""
LEAVE_RENEWAL = "UPDATE session SET renewed_until = NULL WHERE key_hash = $1 AND renewed_until = $2"
END_AT_PROVIDER = "DELETE FROM session WHERE provider_session = $1"
END = "DELETE FROM session WHERE key_hash = $1"
SWEEP = "DELETE FROM session WHERE seen_at <= $1 OR began_at <= $2"

KEEP_DRAFT = """
INSERT INTO draft (id, session, began_at, content) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET content = excluded.content WHERE draft.session = excluded.session
"""
FIND_DRAFT = "SELECT content FROM draft WHERE id = $1 AND session = $2"
HOLD_KEY = "SELECT true FROM session WHERE key_hash = $1 FOR KEY SHARE"
LOCK_DRAFT = FIND_DRAFT + " FOR UPDATE"
DRAFTS_OF = "SELECT id, content FROM draft WHERE session = $1 ORDER BY began_at DESC, id"
DRAFTS_MAX = 50
"""drafts of one session; whoever begins more has left the first"""
FORGET_DRAFTS = """
DELETE FROM draft WHERE id IN (
  SELECT id FROM draft WHERE session = $1 ORDER BY began_at DESC, id OFFSET $2 FOR UPDATE SKIP LOCKED)
"""
SEAL_DRAFT = "UPDATE draft SET content = $2 WHERE id = $1"


class Sessions:
    """The store. `idle` and `longest`: after how long without a request, and in all, a session is over."""

    def __init__(self, database: Database, clock: Clock, *, idle: timedelta, longest: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._idle = idle
        self._longest = longest
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, session: Session) -> AsyncIterator[None]:
        """Lets in one request at a time of one session, in this process."""
        lock = self._locks.setdefault(session.key_hash, asyncio.Lock())
        async with lock:
            yield

    async def find(self, key: str) -> Session | None:
        """The live session of a cookie."""
        seal, now = Seal(key), self._clock.now()
        async with self._database.connection() as connection:
            row = await connection.fetchrow(FIND, seal.key_hash, now - self._idle, now - self._longest)
            if row is None:
                return None
            if now - row["seen_at"] > SEEN_EVERY:
                await connection.execute(SEE, seal.key_hash, now)
        content = seal.open(row["content"])
        return (
            None if content is None else Session(seal, row["form_key"], Content.model_validate_json(content))
        )

    async def begin(self, content: Content | None = None) -> Session:
        """A new session; its cookie goes out with the answer."""
        session = Session.new(content or Content())
        async with self._database.connection() as connection:
            await self._insert(connection, session)
        return session

    async def _insert(self, connection: Connection, session: Session) -> None:
        await connection.execute(
            BEGIN,
            session.key_hash,
            session.form_key,
            self._clock.now(),
            _sealed(session.seal, session.content),
            _provider_session(session.content),
        )

    async def save(self, session: Session) -> None:
        """Stores the fields that this request has changed; what another one has changed meanwhile stays."""
        changes = session.changes()
        await self.change(session, lambda content: content.model_copy(update=changes))

    async def change(self, session: Session, change: Callable[[Content], Content]) -> None:
        """Stores what `change` makes of the content as it stands in the database, not as it was read. Stores nothing if the
        session is gone."""
        async with self._database.transaction() as connection:
            stands = await _locked(connection, session)
            changed = change(stands)
            if changed != stands:
                await connection.execute(SAVE, session.key_hash, _sealed(session.seal, changed))
        session.content = session.read = changed

    async def claim_renewal(self, session: Session, lasts: timedelta) -> datetime | None:
        """Claims the renewal of its tokens over all processes; returns until when. None while another has it, or if the
        session is gone. No connection is held meanwhile: the claim ends by itself."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            done = await connection.execute(CLAIM_RENEWAL, session.key_hash, now, now + lasts)
        return now + lasts if done.endswith(" 1") else None

    async def leave_renewal(self, session: Session, until: datetime) -> None:
        """Gives up the claim that lasts `until` then, unless another has it by now."""
        async with self._database.connection() as connection:
            await connection.execute(LEAVE_RENEWAL, session.key_hash, until)

    async def let_in(self, session: Session, account: Account, sent: SentForm | None = None) -> Session:
        """Returns the session after a log-in, under a new key, with what was begun before. If that was another person's,
        their session ends and only the language stays. `sent`: the log-in form, which may be sent once more under the old
        key."""
        language = session.content.language
        entered = sent and Entered(path=sent.path, back=sent.back, form_key=session.form_key)
        is_theirs = session.content.whose in (None, account.whose)
        became = Session.new(Content(language=language, account=account, entered=entered))
        # In one transaction: a second press of the form finds its session under the old key at any moment.
        async with self._database.transaction() as connection:
            if is_theirs:
                back = {"account": account, "former": None, "leave": None, "entered": entered}
                became.content = await self._rotate(connection, session, became, back)
            else:
                await connection.execute(END, session.key_hash)
                await self._insert(connection, became)
            if sent is not None:
                assert became.key is not None
                left = Content(language=language, entered=sent.left(became.key))
                await self._leave(connection, session, left)
        return session.renew(became) if is_theirs else became

    async def _leave(self, connection: Connection, session: Session, content: Content) -> None:
        """Stores this content alone under a session's old key, for a moment."""
        now = self._clock.now()
        began = now - self._longest + LEFT_FOR
        sealed = _sealed(session.seal, content)
        await connection.execute(LEAVE, session.key_hash, session.form_key, began, now, sealed)

    async def begin_anew(self, session: Session, **kept: Any) -> Session:
        """Ends a session and begins another, in the same language."""
        await self.end(session)
        return await self.begin(Content(language=session.content.language, **kept))

    async def _rotate(
        self, connection: Connection, session: Session, became: Session, known: Mapping[str, Any]
    ) -> Content:
        """Stores the session, with its drafts and what is `known` since (fields of its content), under the keys of another:
        what was known before the log-in opens nothing afterwards. Returns its content; the session itself is as it was,
        until that is committed."""
        content = (await _locked(connection, session)).model_copy(update={**session.changes(), **known})
        drafts = await connection.fetch(DRAFTS_OF, session.key_hash)
        await connection.execute(
            ROTATE,
            session.key_hash,
            became.key_hash,
            became.form_key,
            self._clock.now(),
            _sealed(became.seal, content),
            _provider_session(content),
        )
        for draft in drafts:
            opened = session.seal.open(draft["content"], draft["id"])
            if opened is not None:
                await connection.execute(SEAL_DRAFT, draft["id"], became.seal.close(opened, draft["id"]))
        return content

    async def end(self, session: Session) -> None:
        """Removes the session and its drafts."""
        async with self._database.connection() as connection:
            await connection.execute(END, session.key_hash)

    async def end_at_provider(self, provider_session: str) -> int:
        """Removes the sessions of this log-in at a provider, with their drafts. Returns how many."""
        async with self._database.connection() as connection:
            done = await connection.execute(END_AT_PROVIDER, bytes.fromhex(provider_session))
        return int(done.rpartition(" ")[2])

    async def keep_draft(self, session: Session, id_: str, content: Mapping[str, Any]) -> None:
        """Store a draft, new or changed, whatever another request has made of it. SessionOverError as `change_draft`."""
        await self.change_draft(session, id_, lambda _: content)

    async def change_draft(
        self, session: Session, id_: str, change: Callable[[dict[str, Any] | None], Mapping[str, Any]]
    ) -> None:
        """Store what `change` makes of the draft as it stands now (None: there is none); what it raises changes nothing. The
        session's oldest drafts make room for a new one. SessionOverError if a log-in or log-out has given the session, with
        its drafts, another key meanwhile or ended it."""
        async with self._database.transaction() as connection:
            # The session before its draft: a log-in locks them in this order.
            if not await connection.fetchval(HOLD_KEY, session.key_hash):
                raise SessionOverError
            stands = await connection.fetchval(LOCK_DRAFT, id_, session.key_hash)
            sealed = session.seal.close(orjson.dumps(change(_opened(session, id_, stands))), id_)
            kept = await connection.execute(KEEP_DRAFT, id_, session.key_hash, self._clock.now(), sealed)
            if kept.endswith(" 0"):
                raise SessionOverError
            if stands is None:
                await connection.execute(FORGET_DRAFTS, session.key_hash, DRAFTS_MAX)

    async def find_draft(self, session: Session, id_: str) -> dict[str, Any] | None:
        """A draft of this session; nobody else's is there."""
        async with self._database.connection() as connection:
            return _opened(session, id_, await connection.fetchval(FIND_DRAFT, id_, session.key_hash))

    async def drafts_of(self, session: Session) -> list[tuple[str, dict[str, Any]]]:
        """All drafts of this session, the latest first."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(DRAFTS_OF, session.key_hash)
        opened = ((row["id"], session.seal.open(row["content"], row["id"])) for row in rows)
        return [(id_, orjson.loads(content)) for id_, content in opened if content is not None]

    async def sweep(self) -> int:
        """Removes ended sessions. Returns how many."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            done = await connection.execute(SWEEP, now - self._idle, now - self._longest)
        return int(done.rpartition(" ")[2])


async def _locked(connection: Connection, session: Session) -> Content:
    """Locks the row until the transaction ends and returns its content; as it was read if the row is gone."""
    sealed = await connection.fetchval(LOCK, session.key_hash)
    content = None if sealed is None else session.seal.open(sealed)
    return session.read if content is None else Content.model_validate_json(content)


def _opened(session: Session, id_: str, sealed: bytes | None) -> dict[str, Any] | None:
    """A draft as it stands; None for what is not this session's."""
    content = None if sealed is None else session.seal.open(sealed, id_)
    return None if content is None else orjson.loads(content)


def _provider_session(content: Content) -> bytes | None:
    said = content.account.provider_session if content.account else None
    return bytes.fromhex(said) if said else None


def _sealed(seal: Seal, content: Content) -> bytes:
    return seal.close(content.model_dump_json(exclude_none=True).encode())
