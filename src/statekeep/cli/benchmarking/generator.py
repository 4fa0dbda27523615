"""The load generator: `python -m statekeep.cli.benchmarking.generator`, a process that does nothing else.

Reads a Plan from stdin and writes Reports to stdout, the last of them a Load. It ends early, in good order, when stdin does: so it outlives nobody. What stands between two
requests of a connection is kept short, since the processor that the generator uses is one that the server may lack.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from random import random
from typing import BinaryIO, Final
from urllib.parse import urlsplit

import httptools
import msgspec

from statekeep.cli.benchmarking.plan import (
    NAME,
    PROOF,
    Load,
    Plan,
    Progress,
    Report,
    instance_name,
)
from statekeep.client.nouns.proofs import proof_of

_ANSWER_SECONDS_MAX: Final = 20
_PROGRESS_SECONDS: Final = 0.2
_RECONNECT_SECONDS: Final = 0.1
_REFUSED_MAX: Final = 30
"""Connections in a row that do not come about: three seconds, and whoever was there is gone."""


class Run:
    """A plan that is carried out, and what came of it so far."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.was_stopped = False
        self.sent = 0
        self.answered = 0
        self._answered_in_time = 0
        self._latencies_us: defaultdict[int, int] = defaultdict(int)
        self._failures: defaultdict[str, int] = defaultdict(int)
        self._request = _request_of(plan)
        self._began_at = 0.0
        self._until = 0.0
        self._cpu_before = 0.0
        # At random they come again and again, so each is written down once.
        numbers = range(plan.first, plan.first + plan.count)
        self._requests = [] if plan.is_once else [self._request(number) for number in numbers]

    @property
    def goes_on(self) -> bool:
        """Is there something to send?"""
        return self._has_more and time.perf_counter() < self._until

    @property
    def _has_more(self) -> bool:
        return not self.was_stopped and not (self.plan.is_once and self.sent >= self.plan.count)

    def begin(self) -> None:
        """Time counts from now on."""
        self._cpu_before = time.process_time()
        self._began_at = time.perf_counter()
        self._until = self._began_at + self.plan.seconds

    def next_request(self, now: float) -> bytes | None:
        """What to send next; None where nothing is."""
        if now >= self._until or not self._has_more:
            return None
        number = self.sent
        self.sent += 1
        if self.plan.is_once:
            return self._request(self.plan.first + number)
        return self._requests[int(random() * self.plan.count)]

    def hear(self, status: int, sent_at: float, now: float) -> None:
        """A request was answered."""
        if not 200 <= status < 300:
            self._failures[str(status)] += 1
            return
        self.answered += 1
        self._latencies_us[int((now - sent_at) * 1e6)] += 1
        if now < self._until:
            self._answered_in_time += 1

    def fail(self, why: str) -> None:
        """A request was not answered, or none could be sent."""
        self._failures[why] += 1

    def stop(self) -> None:
        """Send nothing more."""
        self.was_stopped = True
        self._until = min(self._until, time.perf_counter())

    def progress(self) -> Progress:
        """So far."""
        return Progress(time.perf_counter() - self._began_at, self.answered)

    def load(self) -> Load:
        """All of it."""
        now = time.perf_counter()
        return Load(
            seconds=max(0.0, min(now, self._until) - self._began_at),
            sent=self.sent,
            answered=self.answered,
            answered_in_time=self._answered_in_time,
            latencies_us=self._latencies_us,
            failures=self._failures,
            cpu_share=(time.process_time() - self._cpu_before) / (now - self._began_at),
            was_stopped=self.was_stopped,
        )


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request. `ended` tells when it is closed."""

    def __init__(self, run: Run) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._sent_at: float | None = None
        """When the request was sent whose answer is still to come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nothing is sent yet."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """The parser calls back with what it finds."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.give_up("no HTTP")

    def on_message_complete(self) -> None:
        """An answer is whole."""
        now = time.perf_counter()
        if self._sent_at is not None:
            self._run.hear(self._parser.get_status_code(), self._sent_at, now)
            self._sent_at = None
        if self._parser.should_keep_alive():
            self.send()
        elif self._transport is not None:
            self._transport.close()

    def send(self) -> None:
        """Send the next request, or close the connection where there is none."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        now = time.perf_counter()
        request = self._run.next_request(now)
        if request is None:
            transport.close()
            return
        self._sent_at = now
        transport.write(request)

    def give_up_if_late(self, now: float) -> None:
        """Wait no longer for an answer that takes too long."""
        if self._sent_at is not None and now - self._sent_at > _ANSWER_SECONDS_MAX:
            self.give_up("timeout")

    def give_up(self, why: str) -> None:
        """Close the connection with the request unanswered."""
        self._fail(why)
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """An answer that was still to come never will."""
        self._fail("connection lost")
        self.ended.set_result(None)

    def _fail(self, why: str) -> None:
        if self._sent_at is not None:
            self._sent_at = None
            self._run.fail(why)


class Generator:
    """Keeps the connections of a run open and busy for as long as it goes on."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._connections: set[Connection] = set()
        self._url = urlsplit(run.plan.url)
        self._tls = _tls_context() if self._url.scheme == "https" else None
        assert self._url.hostname is not None, "who made the plan has checked its URL"
        self._host = self._url.hostname
        self._port = self._url.port or (443 if self._tls else 80)

    async def generate(self, write: Callable[[Report], None]) -> None:
        """Carry the plan out. Time begins when all connections are made."""
        lanes = range(self._run.plan.connections)
        made = await asyncio.gather(*(self._connect() for _ in lanes))
        self._run.begin()
        telling = asyncio.create_task(self._tell(write))
        await asyncio.gather(*map(self._keep_busy, made))
        telling.cancel()
        write(self._run.load())

    async def _connect(self) -> Connection | None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(self._run), self._host, self._port, ssl=self._tls
            )
        except OSError:
            return None
        return connection

    async def _keep_busy(self, connection: Connection | None) -> None:
        if connection is not None:
            await self._use(connection)
        refused = 0
        while self._run.goes_on and refused < _REFUSED_MAX:
            connection = await self._connect()
            if connection is None:
                refused += 1
                self._run.fail("no connection")
                await asyncio.sleep(_RECONNECT_SECONDS)
            else:
                refused = 0
                await self._use(connection)

    async def _use(self, connection: Connection) -> None:
        self._connections.add(connection)
        connection.send()
        await connection.ended
        self._connections.discard(connection)

    async def _tell(self, write: Callable[[Report], None]) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_SECONDS)
            write(self._run.progress())
            now = time.perf_counter()
            for connection in tuple(self._connections):
                connection.give_up_if_late(now)


def _request_of(plan: Plan) -> Callable[[int], bytes]:
    """A function that writes the request about the instance with a number."""
    url = urlsplit(plan.url)
    line = f"{plan.method} {url.path}{plan.path} HTTP/1.1"
    head = (
        f"host: {url.netloc}\r\n"
        f"authorization: Bearer {plan.token}\r\n"
        "content-type: application/json\r\n"
        "content-length: "
    )

    def request(number: int) -> bytes:
        name = instance_name(number)
        body = plan.body.replace(NAME, name)
        if PROOF in body:
            body = body.replace(PROOF, proof_of(plan.machine, name))
        return f"{line.replace(NAME, name)}\r\n{head}{len(body)}\r\n\r\n{body}".encode("ascii")

    return request


def _tls_context() -> ssl.SSLContext:
    # Half a second to import, and only here; it knows the authorities that the other commands know.
    import httpx

    return httpx.create_ssl_context()


def _write(output: BinaryIO, report: Report) -> None:
    output.write(msgspec.json.encode(report) + b"\n")
    output.flush()


async def _main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=Plan)
    run = Run(plan)
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

    def stop() -> None:
        loop.remove_reader(stdin)
        run.stop()

    # Nothing more is ever written to it: that it can be read is that it has ended.
    loop.add_reader(stdin, stop)
    await Generator(run).generate(lambda report: _write(sys.stdout.buffer, report))


def main() -> None:
    """Carry out the plan on stdin."""
    # Not on uvloop, which gathers what is written until all answers at hand have been read: the server would wait for that, and take a third fewer
    # events for a hot instance. asyncio's own loop writes at once, for two microseconds a request.
    asyncio.run(_main())


if __name__ == "__main__":
    main()
