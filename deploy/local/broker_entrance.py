"""The entrance of the embedded broker: starts the broker and stands before it, so that a fetch waits for records.

The broker answers a fetch only when its time is over. Until then it searches all its partitions again and again. Short times
keep it busy while nothing happens; long times delay events. Here a fetch that finds nothing is kept until something is
produced for one of its topics, as Apache Kafka does. A fetch that repeats one just answered with nothing is not sent to the
broker.

Everything else passes unchanged, in both directions, request by request (the protocol answers in order).
"""

from __future__ import annotations

import asyncio
import math
import signal
import struct
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import uvloop

from deploy.local.broker import server_command
from deploy.local.child import Command
from deploy.local.ports import LOOPBACK, free_port

FETCH, PRODUCE = 1, 0
FETCH_VERSIONS = range(4, 12)
"""versions that are read here; others pass through and wait in the broker"""
PRODUCE_VERSIONS = range(3, 9)
CHANGES_NOTHING = frozenset({1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 32})
"""Requests that change no log: Fetch, ListOffsets, Metadata, groups and offsets, ApiVersions, DescribeConfigs."""
PACE_S = 0.05
"""Least time between two answers with records on one connection; records in between go together."""
PARTIAL_WAIT_S = 0.1
"""Longest time to keep a fetch of fewer partitions than one before: clients leave out partitions that they are still
reading, and new records there must not wait."""
PARTIAL_MAX = 50
"""After so many such fetches in a row, the other partitions count as another client's."""
AGAIN_S = (0.05, 0.5, 5.0)
"""Pauses after which the broker is asked again for a fetch that found nothing, although nothing was produced since. On a busy
machine a first fetch has missed a record that was acknowledged before it."""
LOOKS_MS = (1, 10, 100, 1000)
"""times given to the broker for a fetch: the next one if one was not enough"""
STARTED_WITHIN_S = 15.0
LOOK_S = 0.02


class Form:
    """Reads the protocol's primitives off a message, one after the other."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def int16(self) -> int:
        return int(self._unpack(">h", 2))

    def int32(self) -> int:
        return int(self._unpack(">i", 4))

    def text(self) -> str:
        """A string that may be null."""
        length = max(0, self.int16())
        self.at += length
        return self.data[self.at - length : self.at].decode()

    def skip(self, length: int) -> None:
        self.at += max(0, length)

    def times(self) -> Iterator[int]:
        """Once for each element of an array that begins here."""
        return iter(range(max(0, self.int32())))

    def _unpack(self, form: str, length: int) -> int:
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += length
        return int(value)


@dataclass(frozen=True, slots=True)
class Request:
    """A request's message, without its length, and where its body begins."""

    data: bytes
    key: int
    version: int
    body: int

    @classmethod
    def of(cls, data: bytes) -> Request:
        key, version = struct.unpack_from(">hh", data)
        form = Form(data, 8)
        form.text()
        return cls(data, key, version, form.at)

    @property
    def what(self) -> bytes:
        """The request without its correlation id."""
        return self.data[:4] + self.data[8:]

    @property
    def is_known_fetch(self) -> bool:
        return self.key == FETCH and self.version in FETCH_VERSIONS

    @property
    def wait_s(self) -> float:
        """How long a fetch may be kept."""
        return Form(self.data, self.body + 4).int32() / 1000

    def within(self, wait_ms: int) -> bytes:
        """The same fetch with the wait `wait_ms`; with 0 the broker looks for nothing."""
        return self.data[: self.body + 4] + struct.pack(">i", wait_ms) + self.data[self.body + 8 :]

    def fetched(self) -> tuple[frozenset[str], int]:
        """The topics of a fetch, and the number of their partitions."""
        form = Form(self.data, self.body + 17 + (8 if self.version >= 7 else 0))
        partition = 16 + (8 if self.version >= 5 else 0) + (4 if self.version >= 9 else 0)
        topics, partitions = set(), 0
        for _ in form.times():
            topics.add(form.text())
            count = form.int32()
            form.skip(partition * count)
            partitions += count
        return frozenset(topics), partitions

    def changed_topics(self) -> frozenset[str] | None:
        """The topics of which something may have changed; None for all."""
        if self.key in CHANGES_NOTHING:
            return frozenset()
        if self.key != PRODUCE or self.version not in PRODUCE_VERSIONS:
            return None
        form = Form(self.data, self.body)
        form.text()
        form.skip(6)
        topics = set()
        for _ in form.times():
            topics.add(form.text())
            for _ in form.times():
                form.skip(4)
                form.skip(form.int32())
        return frozenset(topics)


def looked_at(answer: bytes, version: int) -> int | None:
    """The number of empty partitions in the answer to a fetch; None if it has records or errors."""
    form = Form(answer, 8)
    if version >= 7 and form.int16():
        return None
    form.skip(4 if version >= 7 else 0)
    partitions = 0
    for _ in form.times():
        form.text()
        for _ in form.times():
            partitions += 1
            form.skip(4)
            if form.int16():
                return None
            form.skip(16 + (8 if version >= 5 else 0))
            form.skip(16 * form.int32())
            form.skip(4 if version >= 11 else 0)
            length = form.int32()
            if length > 0:
                return None
    return partitions


class Changes:
    """Counts the changes in the broker since its start."""

    def __init__(self) -> None:
        self._of_all = 0
        self._of_topic: dict[str, int] = defaultdict(int)
        self._next = asyncio.Event()

    def state_of(self, topics: frozenset[str]) -> tuple[int, ...]:
        """The state of these topics; each change gives another."""
        return (self._of_all, *(self._of_topic[topic] for topic in sorted(topics)))

    def note(self, topics: frozenset[str] | None) -> None:
        """Counts a change of these topics; None: of all."""
        if topics is None:
            self._of_all += 1
        for topic in topics or ():
            self._of_topic[topic] += 1
        if topics is None or topics:
            self._next.set()
            self._next = asyncio.Event()

    async def after(self, state: tuple[int, ...], topics: frozenset[str], within_s: float) -> None:
        """Waits until a topic changes from `state`, or the time is over."""
        try:
            async with asyncio.timeout(within_s):
                while self.state_of(topics) == state:
                    await self._next.wait()
        except TimeoutError:
            pass


class Client:
    """One connection of a client, and the one to the broker that belongs to it."""

    def __init__(
        self,
        changes: Changes,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        broker: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._changes = changes
        self._requests, self._answers = client
        self._from_broker, self._to_broker = broker
        self._asked: bytes | None = None
        """the last fetch, if it was answered with nothing"""
        self._nothing = b""
        self._state: tuple[int, ...] = ()
        self._again = iter(AGAIN_S)
        self._look_at = math.inf
        """when the broker is asked again for what it has answered with nothing"""
        self._answered_at = 0.0
        """when records were last sent"""
        self._partitions = 0
        """number of all that the client fetches, if known"""
        self._partial = 0
        """fetches of fewer partitions since then"""

    async def serve(self) -> None:
        """Answer one request after the other, until one of the two sides closes."""
        while True:
            request = Request.of(await _message(self._requests))
            if request.is_known_fetch:
                answer = await self._fetch(request)
            else:
                answer = await self._ask(request.data)
                self._changes.note(request.changed_topics())
            _put(self._answers, answer)
            await self._answers.drain()

    async def _fetch(self, request: Request) -> bytes:
        now = asyncio.get_running_loop().time
        topics, partitions = request.fetched()
        wait_s = self._patience_s(request, partitions)
        until = now() + wait_s
        await asyncio.sleep(min(wait_s, self._answered_at + PACE_S - now()))
        while True:
            state = self._changes.state_of(topics)
            is_new = request.what != self._asked or state != self._state
            if is_new or now() >= self._look_at:
                answer, is_nothing = await self._look(request, partitions)
                if not is_nothing:
                    self._asked, self._answered_at = None, now()
                    return answer
                self._again = iter(AGAIN_S) if is_new else self._again
                self._look_at = now() + next(self._again, math.inf)
                self._asked, self._nothing, self._state = request.what, answer, state
            if now() >= until:
                return request.data[4:8] + self._nothing[4:]
            await self._changes.after(self._state, topics, min(until, self._look_at) - now())

    async def _look(self, request: Request, partitions: int) -> tuple[bytes, bool]:
        """The broker's answer to a fetch, and whether it is surely empty. On a busy machine the time may end before the
        broker has looked at every partition; then it is asked again with more time."""
        answer = b""
        for wait_ms in LOOKS_MS:
            answer = await self._ask(request.within(wait_ms))
            looked = looked_at(answer, request.version)
            if looked is None or looked >= partitions:
                return answer, looked is not None
        return answer, False

    def _patience_s(self, request: Request, partitions: int) -> float:
        """How long this fetch may be kept."""
        self._partial += 1
        if partitions >= self._partitions or self._partial > PARTIAL_MAX:
            self._partitions, self._partial = partitions, 0
        return min(request.wait_s, PARTIAL_WAIT_S) if self._partial else request.wait_s

    async def _ask(self, request: bytes) -> bytes:
        _put(self._to_broker, request)
        await self._to_broker.drain()
        return await _message(self._from_broker)


async def _message(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(length)


def _put(writer: asyncio.StreamWriter, message: bytes) -> None:
    writer.write(struct.pack(">i", len(message)) + message)


async def stand_before(broker_port: int, port: int) -> asyncio.Server:
    """Serve the broker that listens on `broker_port` of the loopback to those who come to `port`."""
    changes = Changes()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            broker = await asyncio.open_connection(LOOPBACK, broker_port)
        except OSError:
            writer.close()
            return
        try:
            await Client(changes, (reader, writer), broker).serve()
        except (OSError, EOFError, ValueError, struct.error, asyncio.CancelledError):
            pass  # a side has closed, or this process ends
        finally:
            writer.close()
            broker[1].close()

    return await asyncio.start_server(serve, LOOPBACK, port)


async def _run(command: Command, broker_port: int, port: int) -> int:
    """Run the broker until it ends or SIGTERM comes; returns its exit code. Kills a broker that does not listen in time: the
    parent process starts another one."""
    given = command.popen_arguments() | {"start_new_session": False}
    process = await asyncio.create_subprocess_exec(*command.argv, **given)
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    ended, told = asyncio.ensure_future(process.wait()), asyncio.ensure_future(asked.wait())
    try:
        if await _listens(broker_port, unless=ended):
            await stand_before(broker_port, port)
            await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not ended.done():
            process.kill()  # it saves nothing
    code = await ended
    return 0 if asked.is_set() else code


async def _listens(port: int, *, unless: asyncio.Future[int]) -> bool:
    """Wait until the port is open; False when `unless` is done or time is over."""
    for _ in range(int(STARTED_WITHIN_S / LOOK_S)):
        if unless.done():
            break
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            await asyncio.sleep(LOOK_S)
        else:
            writer.close()
            return True
    return False


def main() -> int:
    """The argument is the port on which the broker is to be found."""
    port, broker_port = int(sys.argv[1]), free_port()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(server_command(broker_port, advertised=port), broker_port, port))


if __name__ == "__main__":
    sys.exit(main())
