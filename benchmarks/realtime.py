"""What following instances costs: idle subscriptions, one instance with many subscribers, and a subscriber that does not read.

    python benchmarks/realtime.py [--subscriptions 10000] [--subscribers 1000] [--updates 50] [--events 100000] [--sse] [--json]

Everything runs against a real `statekeep serve` on a new data folder, subscribers and senders on the same machine. Times are from
the moment before an event is sent to the moment a subscriber has its update, so they hold the event itself.

- `idle`: so many sockets (or, with --sse, streams), each following an instance of its own, and what the server's memory grew by.
- `fan-out`: so many follow one instance; each event is sent once all have the update before.
- `slow`: two subscribers of a busy instance do not read, one on a socket and one on a stream, while wrk sends it events on 16 connections.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvloop
from event_path import EVENT, LUA, Phase, Target, memory_mib, statekeep, wrk
from rich.console import Console
from rich.table import Table
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

AT_ONCE = 100
"""Sockets that are opened at once."""
SENDERS = 16
"""Connections that make instances and send events. httpx gets slow with many."""
PORTION_SECONDS = 4
"""How long wrk sends before the server's memory is looked at."""
SMALL_BUFFER_BYTES = 4096


class SocketReader(asyncio.Protocol):
    """A client of /rt that follows one instance and says when an update has come. The least that can be done for a socket."""

    def __init__(self, target: Target, instance: str, on_update: Callable[[float], None]) -> None:
        self._connection = ClientProtocol(parse_uri(f"ws{target.url[4:]}/rt?token={target.token}"))
        self._instance = instance
        self._on_update = on_update

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._connection.send_request(self._connection.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._connection.receive_data(data)
        for event in self._connection.events_received():
            if isinstance(event, Response):
                message = {
                    "type": "subscribe-to-instance",
                    "requestId": "r",
                    "machineName": "toggle",
                    "machineInstanceName": self._instance,
                }
                self._connection.send_text(json.dumps(message).encode())
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                assert b"instance-update" in event.data, event.data
                self._on_update(now)
        self._flush()

    def _flush(self) -> None:
        self._transport.write(b"".join(self._connection.data_to_send()))


class StreamReader(asyncio.Protocol):
    """The same of the stream of server-sent events."""

    def __init__(self, target: Target, instance: str, on_update: Callable[[float], None]) -> None:
        path = f"/machines/toggle/i/{instance}/stream?token={target.token}"
        self._request = f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
        self._on_update = on_update

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"\ndata: ")):
            self._on_update(time.perf_counter())


Reader = type[SocketReader] | type[StreamReader]


class Arrivals:
    """Counts updates until all that are expected have come."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._expected = 0
        self._done: asyncio.Future[None] | None = None

    def __call__(self, now: float) -> None:
        self.times.append(now)
        if self._done is not None and len(self.times) >= self._expected:
            self._done.set_result(None)
            self._done = None

    async def expect(self, count: int) -> list[float]:
        """The times of so many updates, counted from the last call on."""
        self._expected = count
        if len(self.times) < count:
            self._done = asyncio.get_running_loop().create_future()
            await self._done
        times, self.times = self.times, []
        return times


async def connect(reader: Reader, target: Target, instance: str, arrivals: Arrivals) -> Any:
    """One more subscriber."""
    parts = urlsplit(target.url)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(
        lambda: reader(target, instance, arrivals), parts.hostname, parts.port
    )
    return transport


async def by_hundreds(count: int, make: Callable[[int], Awaitable[Any]]) -> list[Any]:
    """What `make` gives for each number, a hundred of them at once."""
    made: list[Any] = []
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, count))
        made += await asyncio.gather(*(make(number) for number in numbers))
    return made


def private_kib(pid: int) -> int:
    """Private memory of a process; pages of the database file that it has mapped are not its own."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0])


async def idle(target: Target, client: httpx.AsyncClient, count: int, reader: Reader) -> Any:
    """So many subscriptions, each to an instance of its own."""

    async def create(n: int) -> None:
        (await client.post("/machines/toggle", json={"slug": f"idle{n}"})).raise_for_status()

    await by_hundreds(count, create)
    before = private_kib(target.pid)
    began = time.perf_counter()
    arrivals = Arrivals()
    transports = await by_hundreds(count, lambda n: connect(reader, target, f"idle{n}", arrivals))
    await arrivals.expect(count)
    took = time.perf_counter() - began
    await asyncio.sleep(2)
    grown = private_kib(target.pid) - before
    for transport in transports:
        transport.close()
    return {"subscriptions": count, "kB_each": round(grown / count, 2), "seconds": round(took, 1)}


async def fan_out(
    target: Target, client: httpx.AsyncClient, count: int, updates: int, reader: Reader
) -> Any:
    """Events to one instance that so many follow."""
    arrivals = Arrivals()
    transports = await by_hundreds(count, lambda _: connect(reader, target, "k0", arrivals))
    await arrivals.expect(count)
    delays: list[float] = []
    answers: list[float] = []
    for _ in range(updates):
        began = time.perf_counter()
        sending = asyncio.ensure_future(client.post("/machines/toggle/i/k0/events", content=EVENT))
        sending.add_done_callback(
            lambda _, began=began: answers.append(time.perf_counter() - began)
        )
        times = await arrivals.expect(count)
        (await sending).raise_for_status()
        delays += [at - began for at in times]
    for transport in transports:
        transport.close()
    cuts = statistics.quantiles(delays, n=100)
    return {
        "subscribers": count,
        "updates": updates,
        "p50_ms": round(cuts[49] * 1e3, 1),
        "p99_ms": round(cuts[98] * 1e3, 1),
        "max_ms": round(max(delays) * 1e3, 1),
        "answer_p50_ms": round(statistics.median(answers) * 1e3, 1),
    }


async def slow(target: Target, folder: Path, events: int) -> Any:
    """Two subscribers that do not read."""
    script = folder / "load.lua"
    script.write_text(LUA)
    hot = Phase(SENDERS, 1)
    baseline = await asyncio.to_thread(wrk, script, target, hot, PORTION_SECONDS)
    deaf = [_deaf(target, reader) for reader in (SocketReader, StreamReader)]
    memory = [private_kib(target.pid)]
    sent = 0
    while sent < events:
        load = await asyncio.to_thread(wrk, script, target, hot, PORTION_SECONDS)
        sent += load.requests
        memory.append(private_kib(target.pid))
    for connection in deaf:
        connection.close()
    return {
        "events": sent,
        "grown_kB": max(memory) - memory[0],
        "grown_kB_in_second_half": max(memory) - memory[len(memory) // 2],
        "events_per_second": round(sent / (len(memory) - 1) / PORTION_SECONDS),
        "without_slow_readers": round(baseline.rps),
    }


def _deaf(target: Target, reader: Reader) -> socket.socket:
    """A subscriber that asks and never reads, with next to no buffer of its own."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
    parts = urlsplit(target.url)
    connection.connect((parts.hostname, parts.port))
    protocol = reader(target, "k0", lambda _: None)
    protocol.connection_made(_Outlet(connection))
    if isinstance(protocol, SocketReader):
        time.sleep(0.3)
        protocol.data_received(connection.recv(1024))
    return connection


class _Outlet:
    def __init__(self, connection: socket.socket) -> None:
        self.write = connection.sendall


async def measure(target: Target, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All that was asked for."""
    headers = {"authorization": f"Bearer {target.token}", "content-type": "application/json"}
    limits = httpx.Limits(max_connections=SENDERS)
    reader: Reader = StreamReader if options.sse else SocketReader
    async with httpx.AsyncClient(
        base_url=target.url, headers=headers, limits=limits, timeout=60
    ) as client:
        results: dict[str, Any] = {}
        if options.subscribers:
            results["fan-out"] = await fan_out(
                target, client, options.subscribers, options.updates, reader
            )
        if options.subscriptions:
            results["idle"] = await idle(target, client, options.subscriptions, reader)
        if options.events:
            results["slow"] = await slow(target, folder, options.events)
        return {**results, "memory": memory_mib(target.pid)}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--subscriptions", type=int, default=10_000)
    parser.add_argument("--subscribers", type=int, default=1_000)
    parser.add_argument("--updates", type=int, default=50)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--sse", action="store_true", help="streams instead of sockets")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, statekeep(Path(folder)) as target:
        results = uvloop.run(measure(target, Path(folder), options))
    if options.json:
        print(json.dumps(results))
        return
    for name, result in results.items():
        table = Table("what", "figure", title=name)
        for key, value in result.items():
            table.add_row(key, f"{value:,}")
        Console().print(table)


if __name__ == "__main__":
    main()
