"""A load from its first line to its report.

Reading: lines become fragments, batch by batch; each transaction also records the progress. Writing: the fragments of each
resource are merged, and compared by digest with what the source gave last. New and changed resources are stored, published
and remembered in one transaction. A file from which too much is missing is refused before. One load writes at a time, so
that each knows what the other sources have given. Missing: entries that the source had given and a whole file lacks are
ended, unless a refused line may have been about them. A step that breaks off goes on where it was; repeating it changes
nothing.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from creneau_directory.loading.merging import ended, merged
from creneau_directory.loading.pieces import Entry, Fragment, Line, Refused, Resource, Source
from creneau_directory.loading.settings import LoadSettings
from creneau_directory.loading.text_lines import files_of
from creneau_directory.publishing import resource_event
from creneau_directory.storage import loads as kept
from creneau_directory.storage.bulk import BulkStore
from creneau_directory.storage.loads import Load, Said
from creneau_directory.storage.tables import TYPES
from creneau_directory.views import indexed
from creneau_shared.clock import Clock
from creneau_shared.database.failures import DATABASE_FAILURES
from creneau_shared.database.pool import Connection, Database
from creneau_shared.errors import CreneauError
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.storage.store import WriteContext
from creneau_shared.messaging.outbox import append

_EDGE_BYTES = 1 << 16
_REMEMBERED_MAX = 100_000
"""most fragments that are remembered, to skip repeated ones: some 15 MB"""
_COLLECTED_FROM = 50_000
"""new objects after which the garbage collector runs: a batch makes twice as many, and no reference cycle"""
NOT_HELD: tuple[type[Exception], ...] = (CreneauError, *DATABASE_FAILURES)
PORTION_ATTEMPTS_MAX = 5
COLLISIONS = (asyncpg.UniqueViolationError, asyncpg.TransactionRollbackError)
"""errors when others write the same entries at that moment: an id that is theirs now, a deadlock"""
UNNAMED, BROKEN_OFF = "refused unnamed", "broken off"
"""names of counts: refused lines whose entries cannot be known; files that were not read to their end"""
Told = tuple[int, str, str, str]
"""a line of the report: line of the file, `refused` or `remark`, reason, detail"""
Tell = Callable[[str, Load], None]


class LoadRefusedError(Exception):
    """The file is not believed: too much of it is refused, or too much is missing. The message is the reason."""


class SourceBusyError(Exception):
    """Another process is loading from this source."""


class NoLongerAloneError(Exception):
    """The session that held the lock of this source has ended. What was written stays; the same load, begun again, goes on
    from there."""


class Lately:
    """Digests of recent fragments of a file: each professional of a hospital repeats its fragments, which add nothing."""

    def __init__(self) -> None:
        # Not a dict: the search for its first entry passes over all removed ones.
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def again(self, content: bytes, *, gone: bool, merges: bool) -> bool:
        """Whether a fragment need not be stored again. If it is gone, or the last one counts, its place matters."""
        if gone or not merges:
            self._digests.clear()
            return False
        digest = hashlib.blake2b(content, digest_size=16).digest()
        known = digest in self._digests
        self._digests[digest] = None
        self._digests.move_to_end(digest)
        if len(self._digests) > _REMEMBERED_MAX:
            self._digests.popitem(last=False)
        return known


@dataclass
class Loading:
    """One load. `accept_gone`: believe the file, however much is missing from it."""

    database: Database
    clock: Clock
    base_url: str
    source: Source
    settings: LoadSettings
    accept_gone: bool = False
    tell: Tell = lambda _, __: None
    _stores: dict[str, BulkStore] = field(default_factory=dict)
    _said: Lately = field(default_factory=Lately)
    _told_at: float = 0.0

    async def run(self, path: Path, *, whole: bool) -> Load:
        """Loads a file. LoadRefusedError, SourceBusyError, NoLongerAloneError; ValueError for a file of another kind."""
        self._stores = {name: BulkStore(name, self.base_url, indexed) for name in TYPES}
        self._said = Lately()
        held, done = asyncio.get_running_loop().create_future(), asyncio.Event()
        guard = asyncio.create_task(self._hold(held, done))
        try:
            if not await held:
                raise SourceBusyError(self.source.name)
            with _few_collections():
                return await self._while(guard, self._run(path, whole=whole))
        finally:
            done.set()
            await guard

    async def _while(self, guard: asyncio.Task[None], work: Coroutine[Any, Any, Load]) -> Load:
        """Returns the result of `work`; raises NoLongerAloneError if the guard ends first."""
        loading = asyncio.create_task(work)
        try:
            await asyncio.wait((loading, guard), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if broken_off := not loading.done():
                loading.cancel()
                await asyncio.wait((loading,))
        if broken_off:
            raise NoLongerAloneError(self.source.name)
        return loading.result()

    async def _hold(self, held: asyncio.Future[bool], done: asyncio.Event) -> None:
        """Holds the lock of the source, in a session of its own, until `done` is set or the session ends. `held` gets
        whether the lock was free, or the error that prevented the attempt."""
        try:
            async with self.database.connection() as connection:
                connection.add_termination_listener(over := lambda _: done.set())
                mine = await kept.lock_source(connection, self.source.name)
                if not held.done():
                    held.set_result(mine)
                await done.wait()
                connection.remove_termination_listener(over)
                if mine and not connection.is_closed():
                    await kept.unlock_source(connection, self.source.name)
        except NOT_HELD as error:
            # The end of the session releases a lock that it held, whatever ended the session.
            if not held.done():
                held.set_exception(error)

    async def _run(self, path: Path, *, whole: bool) -> Load:
        fingerprint = fingerprint_of(path)
        async with self.database.transaction() as connection:
            load = await kept.begun(connection, self.source.name, path.name, fingerprint, whole=whole)
        if load.phase == "reading":
            await self._read(load, path)
        if load.phase == "writing":
            await self._check_refused(load)
            await self._check_missing(load)
            await self._write(load)
        if load.phase == "missing":
            await self._end_missing(load)
        async with self.database.transaction() as connection:
            await kept.finished(connection, load, "done")
        self._say("done", load, always=True)
        return load

    # -- reading ---------------------------------------------------------------------------------------------

    async def _read(self, load: Load, path: Path) -> None:
        lines = (line for line in self.source.lines(path) if line.number > load.lines)
        while batch := list(islice(lines, self.settings.load_batch_lines)):
            async with self.database.transaction() as connection:
                await self._lay_down(connection, load, batch)
                load.lines = batch[-1].number
                await kept.keep(connection, load)
            self._say("reading", load)
        async with self.database.transaction() as connection:
            load.phase = "writing"
            await kept.keep(connection, load)

    async def _lay_down(self, connection: Connection, load: Load, batch: Sequence[Line]) -> None:
        fragments: list[tuple[str, str, int, bool, bool, bytes]] = []
        told: list[Told] = []
        had: set[Entry] = set()
        for line in batch:
            load.count("read")
            refused = False
            for piece in line.pieces:
                if isinstance(piece, Fragment):
                    one, content = piece.resource, dumps(piece.resource)
                    if not self._said.again(content, gone=piece.gone, merges=self.source.merges):
                        place = (one["resourceType"], one["id"], line.number)
                        fragments.append((*place, piece.gone, piece.completes, content))
                elif isinstance(piece, Refused):
                    refused = True
                    told.append((line.number, "refused", piece.reason, piece.detail))
                    had.update(piece.entries or ())
                    if piece.entries is None:
                        load.count(UNNAMED)
                    if piece.breaks_off:
                        load.count(BROKEN_OFF)
                else:
                    told.append((line.number, "remark", piece.kind, piece.detail))
                    load.count(f"remark:{piece.kind}")
            load.count("refused", refused)
        await kept.lay_down(connection, load, fragments)
        if had:
            await kept.seen(connection, load, sorted(had))
        await self._report(connection, load, told)

    async def _report(self, connection: Connection, load: Load, told: Sequence[Told]) -> None:
        room = max(self.settings.load_refusals_kept_max - load.counts.get("told", 0), 0)
        load.count("told", min(len(told), room))
        await kept.refuse(connection, load, told[:room])

    async def _check_refused(self, load: Load) -> None:
        if load.whole and load.counts.get(BROKEN_OFF):
            await self._give_up(load, "The file breaks off: no whole file. Nothing was written.")
        read, refused = load.counts.get("read", 0), load.counts.get("refused", 0)
        if refused > read * self.settings.load_refused_share_max and refused > 1:
            await self._give_up(
                load,
                f"{refused} of {read} lines are refused: a damaged file? Nothing was written (LOAD_REFUSED_SHARE_MAX).",
            )

    async def _check_missing(self, load: Load) -> None:
        """Asks before anything is written: entries that a file knows by other names would stand there twice."""
        if not load.whole or self.accept_gone:
            return
        async with self.database.transaction() as connection:
            missing, given = await kept.missing(connection, load)
        if missing > max(given * self.settings.load_gone_share_max, self.settings.load_gone_free):
            await self._give_up(
                load,
                f"{missing} of {given} entries are missing: a truncated file, or another edition? Nothing was written"
                " (LOAD_GONE_SHARE_MAX); --accept-gone believes it.",
            )

    # -- writing ---------------------------------------------------------------------------------------------

    async def _write(self, load: Load) -> None:
        while await self._portion(load, self._write_next):
            self._say("writing", load)

    async def _portion(self, load: Load, work: Callable[[Connection, Load], Awaitable[bool]]) -> bool:
        """Runs `work` in a transaction and returns its result. Repeats it from the start if somebody else wrote the same
        entries at that moment: the next attempt sees them."""
        attempt = 0
        while True:
            attempt += 1
            phase, after, counts = load.phase, load.after, dict(load.counts)
            try:
                async with self.database.transaction() as connection:
                    await kept.take_turn(connection)
                    return await work(connection, load)
            except COLLISIONS:
                load.phase, load.after, load.counts = phase, after, counts
                if attempt == PORTION_ATTEMPTS_MAX:
                    raise

    async def _write_next(self, connection: Connection, load: Load) -> bool:
        """Writes the next resources that the file gives; returns whether there were any."""
        said = await kept.next_said(connection, load, self.settings.load_batch_resources)
        await self._report_incomplete(connection, load, [one for one in said if one.incomplete])
        whole = (one for one in said if not one.incomplete)
        for resource_type, of_type in groupby(whole, key=lambda one: one.resource_type):
            await self._write_batch(connection, load, resource_type, list(of_type))
        if said:
            load.after = (said[-1].resource_type, said[-1].id)
        else:
            load.phase, load.after = "missing", ("", "")
        await kept.keep(connection, load)
        return bool(said)

    async def _report_incomplete(self, connection: Connection, load: Load, said: Sequence[Said]) -> None:
        """Reports entries for which the file only has completing fragments (a position); they are not stored."""
        if not said:
            return
        load.count("incomplete", len(said))
        detail = "only completes what no line says of it"
        await self._report(
            connection,
            load,
            [(one.line, "refused", "incomplete", f"{one.resource_type}/{one.id} {detail}") for one in said],
        )

    async def _write_batch(
        self, connection: Connection, load: Load, resource_type: str, said: Sequence[Said]
    ) -> None:
        ids = [one.id for one in said]
        before = await kept.known_digests(connection, load.source, resource_type, ids)
        not_ours = await kept.given_by_others(connection, load.source, resource_type, ids)
        digests: dict[str, bytes] = {}
        changed: list[Resource] = []
        for one in said:
            resource = await self._resource(connection, one)
            digest = hashlib.sha256(dumps(resource) if resource is not None else b"gone").digest()
            digests[one.id] = kept.LEFT if one.id in not_ours else digest
            if one.id in not_ours:
                load.count("left to others")
            elif before.get(one.id) == digest:
                load.count("unchanged")
            elif resource is not None:
                changed.append(resource)
        await self._store(connection, load, resource_type, changed)
        gone = frozenset(one.id for one in said if one.gone)
        await kept.remember(connection, load, resource_type, digests, gone)

    async def _resource(self, connection: Connection, said: Said) -> Resource | None:
        """The resource as the file gives it, ended if it is gone; None if it is gone and the directory does not have it."""
        # Merged resources have no decimals but positions, which any reader keeps.
        read = orjson.loads if self.source.merges else loads
        # Lines that are merged come in any order: that of their contents makes the same resource of them each time.
        contents = sorted(said.contents) if self.source.merges else said.contents
        fragments = [read(content) for content in contents]
        whole = merged(fragments) if self.source.merges else fragments[-1]
        if not said.gone:
            return whole
        if len(whole) > 2:
            return ended(whole)
        current = await self._stores[said.resource_type].lock(connection, said.id)
        if current is None or current.content is None:
            return None
        return ended(_without_version(loads(current.content)))

    async def _store(
        self, connection: Connection, load: Load, resource_type: str, resources: Sequence[Resource]
    ) -> None:
        if not resources:
            return
        context = WriteContext(now=self.clock.now(), subject=f"load:{load.source}")
        stored, new = await self._stores[resource_type].write(connection, context, resources)
        await append(connection, [resource_event(one, None) for one in stored])
        load.count("created", new)
        load.count("updated", len(resources) - new)

    # -- what is missing -------------------------------------------------------------------------------------

    async def _end_missing(self, load: Load) -> None:
        if not load.whole:
            return
        if load.counts.get(UNNAMED) and not self.accept_gone:
            async with self.database.transaction() as connection:
                missing, _ = await kept.missing(connection, load)
            if missing:
                await self._end_nothing(load, missing)
            return
        while await self._portion(load, self._end_next):
            self._say("missing", load)

    async def _end_next(self, connection: Connection, load: Load) -> bool:
        """Ends the next entries that the file no longer has; returns whether there were any."""
        entries = await kept.next_missing(connection, load, self.settings.load_batch_resources)
        for resource_type, of_type in groupby(entries, key=lambda entry: entry[0]):
            await self._end(connection, load, resource_type, [id_ for _, id_ in of_type])
        await kept.keep(connection, load)
        return bool(entries)

    async def _end_nothing(self, load: Load, missing: int) -> None:
        """Reports that no missing entry was ended, because refused lines may be about them."""
        said = (
            f"{missing} entries are missing, and {load.counts[UNNAMED]} refused lines may be about them: none was ended;"
            " --accept-gone ends them"
        )
        async with self.database.transaction() as connection:
            await kept.refuse(connection, load, [(load.lines, "remark", "nothing-ended", said)])
            load.count("missing left", missing)
            await kept.keep(connection, load)

    async def _end(self, connection: Connection, load: Load, resource_type: str, ids: Sequence[str]) -> None:
        not_ours = await kept.given_by_others(connection, load.source, resource_type, ids)
        store = self._stores[resource_type]
        current = await store.lock_many(connection, [id_ for id_ in ids if id_ not in not_ours])
        resources = [
            _without_version(loads(one.content)) for one in current.values() if one.content is not None
        ]
        changed = [after for one in resources if (after := ended(one)) != one]
        updated = load.counts.get("updated", 0)
        await self._store(connection, load, resource_type, changed)
        load.counts["updated"] = updated
        load.count("ended", len(changed))
        await kept.remember(connection, load, resource_type, dict.fromkeys(ids, kept.STOPPED), frozenset(ids))

    async def _give_up(self, load: Load, why: str) -> None:
        async with self.database.transaction() as connection:
            await kept.finished(connection, load, "refused")
        raise LoadRefusedError(why)

    def _say(self, phase: str, load: Load, *, always: bool = False) -> None:
        now = time.monotonic()
        if always or now - self._told_at >= self.settings.load_progress_s:
            self._told_at = now
            self.tell(phase, load)


@contextmanager
def _few_collections() -> Iterator[None]:
    """Makes the garbage collector run seldom, and skip earlier objects (it took a third of a load's time)."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_COLLECTED_FROM, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _without_version(resource: Resource) -> Resource:
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated")}
    return {**{k: v for k, v in resource.items() if k != "meta"}, **({"meta": meta} if meta else {})}


def fingerprint_of(path: Path) -> str:
    """A digest by which the same file is recognised, without reading it whole: its name, size, beginning and end."""
    digest = hashlib.sha256()
    for file in files_of(path):
        size = file.stat().st_size
        digest.update(f"{file.name} {size} ".encode())
        with file.open("rb") as opened:
            digest.update(opened.read(_EDGE_BYTES))
            opened.seek(max(0, size - _EDGE_BYTES))
            digest.update(opened.read(_EDGE_BYTES))
    return digest.hexdigest()


def summary(load: Load) -> Mapping[str, int]:
    """The counts of a load, without its bookkeeping."""
    return {name: number for name, number in load.counts.items() if name != "told"}
