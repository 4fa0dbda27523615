"""What many instances and many timers cost: a server with stores of a thousand to a million instances.

    python benchmarks/scaling.py instances [--sizes 1000,10000,100000,1000000] [--directory DIR] [--json]
    python benchmarks/scaling.py journal [--sizes 1000,10000,100000,1000000] [--directory DIR] [--json]
    python benchmarks/scaling.py timers [--pending 1000000] [--due 100000] [--rate 100] [--directory DIR] [--json]
    python benchmarks/scaling.py check [--sizes 1000] [--directory DIR]

Every figure is of a real `statekeep serve`, asked over HTTP by this process on the same machine. A million instances would take too long to make that way, so one is made over HTTP and the
rest are committed to the store by this script while no server runs, in the same rows (benchmarks/filling.py); `check` makes so many in both ways and compares them.

- `instances`: for each size, bytes on the disk; the time from the start of the process until it says that it is ready; memory (PSS) at rest, after 20,000 events to random instances and after reading a
  thousand; events to instances that nobody has touched since the start, and to the same ones again; pages of lists and of an index. Before a start the kernel is made to forget the file, so that the first touch of a page comes from the disk.
- `journal`: one instance with so many entries: the start, the first event to it and those after, and pages of its transitions.
- `timers`: the same start and memory with so many timers that are due in a day. Then so many more are due within one minute, each an `after` of another instance, while events go to other instances at a
  steady rate. Lateness is from when a timer was due to the time of its journal entry, which is taken once the host has answered; times of events are from when each should have been sent.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import apsw
import filling
from event_path import free_port, memory_mib
from joserfc import jwt
from joserfc.jwk import OctKey
from rich.console import Console

from statekeep.domain.event import Origin
from statekeep.storage.pages import ROWS_MAX, page_of
from statekeep.storage.sqlite.connection import DATABASE_FILE_NAME

COLD_EVENTS: Final = 1_000
RANDOM_EVENTS: Final = 20_000
READS: Final = 1_000
PAGES: Final = 100
SENDERS: Final = 8
"""Connections beyond the one whose times are told."""
DAY_MS: Final = 86_400_000.0
MINUTE_MS: Final = 60_000.0
AHEAD_SECONDS: Final = 20
"""From when the store is full until the first timer is due: time to start the server."""
MACHINE = """
import { assign, createMachine } from "npm:xstate@5";
export default createMachine({
  id: "order",
  initial: "open",
  context: { public: { owner: "", count: 0 } },
  states: { open: { %s }, closed: {} },
  on: { touch: { actions: assign({ public: ({ context }) => ({ ...context.public, count: context.public.count + 1 }) }) } },
});
export const allowRead = ({ authContext }) => authContext.sub === "me";
export const allowWrite = ({ authContext }) => authContext.sub === "me";
"""
AFTER_A_DAY = 'after: { 86400000: "closed" }'


class Connection:
    """One keep-alive connection, and no more than that: what an HTTP library takes would be most of what is measured."""

    def __init__(self, port: int, token: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"host: localhost\r\nauthorization: Bearer {token}\r\n"

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer, which has to be one of success."""
        text = b"" if body is None else json.dumps(body).encode()
        return self._exchange(method, path, text, "application/json")

    def upload(self, path: str, code: str) -> None:
        """Send code as a form does."""
        head = 'content-disposition: form-data; name="file"; filename="machine.js"'
        form = f"--x\r\n{head}\r\ncontent-type: application/javascript\r\n\r\n{code}\r\n--x--\r\n"
        self._exchange("POST", path, form.encode(), "multipart/form-data; boundary=x")

    def touch(self, number: int) -> float:
        """Send an event to an instance; returns how long it took in ms."""
        begun = time.perf_counter()
        path = f"/machines/order/i/{filling.name_of(number)}/events"
        self.request("POST", path, {"event": {"type": "touch"}})
        return (time.perf_counter() - begun) * 1000

    def get(self, path: str) -> float:
        """How long a read took in ms."""
        begun = time.perf_counter()
        self.request("GET", path)
        return (time.perf_counter() - begun) * 1000

    def _exchange(self, method: str, path: str, body: bytes, content_type: str) -> Any:
        head = f"{method} {path} HTTP/1.1\r\n{self._head}content-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._received()
        head, _, content = answer.partition(b"\r\n\r\n")
        lengths = [
            line[15:] for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"
        ]
        length = int(lengths[0]) if lengths else 0
        while len(content) < length:
            content += self._received()
        assert b" 20" in head.split(b"\r\n", 1)[0], (method, path, answer)
        return json.loads(content) if content else None

    def _received(self) -> bytes:
        some = self._socket.recv(65_536)
        assert some, "the server closed the connection"
        return some


class Server(NamedTuple):
    """A server that runs."""

    process: subprocess.Popen[bytes]
    port: int
    ready_after_seconds: float

    def connection(self, token: str) -> Connection:
        return Connection(self.port, token)

    def memory_mb(self) -> dict[str, int]:
        return memory_mib(self.process.pid)


@contextmanager
def serving(data_dir: Path) -> Iterator[Server]:
    """A server on that data folder, from when it says that it is ready until it has ended."""
    port = free_port()
    command = [sys.executable, "-m", "statekeep", "serve", "--port", str(port)]
    with (data_dir.parent / "statekeep.log").open("ab") as log:
        begun = time.perf_counter()
        process = subprocess.Popen([*command, "--data-dir", str(data_dir)], stdout=log, stderr=log)
        try:
            while not _is_ready(port):
                assert process.poll() is None, "the server ended"
                time.sleep(0.002)
            yield Server(process, port, time.perf_counter() - begun)
        finally:
            process.terminate()
            process.wait()


def _environment() -> dict[str, str]:
    """Python keeps what it has compiled, as where the server is installed to stay: else every start compiles everything."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _is_ready(port: int) -> bool:
    with contextlib.suppress(ConnectionError), socket.socket() as probe:
        probe.connect(("127.0.0.1", port))
        probe.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        return b" 200 " in probe.recv(100)
    return False


class Shop(NamedTuple):
    """A data folder with the machine deployed and one instance made."""

    data_dir: Path
    organization_id: str
    token: str
    """Of an end user."""
    empty_start_seconds: float

    def fill(self, numbers: range, due_at: filling.DueAt | None = None) -> None:
        """Make instances while no server runs."""
        filling.fill(self.data_dir, self.organization_id, "order", 0, numbers, due_at=due_at)

    def file_bytes(self) -> int:
        return (self.data_dir / DATABASE_FILE_NAME).stat().st_size

    def row(self, query: str) -> tuple[Any, ...]:
        """The first row of a query to the database, beside whatever server there is."""
        file = str(self.data_dir / DATABASE_FILE_NAME)
        connection = apsw.Connection(file, flags=apsw.SQLITE_OPEN_READONLY)
        rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
        connection.close()
        return rows[0]

    def forget(self) -> None:
        """Let nothing of the database be in the kernel's memory."""
        file = os.open(self.data_dir / DATABASE_FILE_NAME, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def open_shop(folder: Path, *, in_open: str = "", made: int = 1) -> Shop:
    """Start for the first time, deploy, and make the first instances over HTTP."""
    data_dir = folder / "data"
    with serving(data_dir):
        pass
    with serving(data_dir) as server:
        credentials = _credentials(data_dir)
        token = _deploy(server.connection(credentials["token"]), MACHINE % in_open)
        connection = server.connection(token)
        for number in range(made):
            context = {"public": {"owner": filling.owner_of(number), "count": 0}}
            slug = filling.name_of(number)
            connection.request("POST", "/machines/order", {"slug": slug, "context": context})
    return Shop(data_dir, credentials["orgId"], token, server.ready_after_seconds)


def _credentials(data_dir: Path) -> Any:
    """Those of the admin. Another address of the server brings others."""
    return json.loads((data_dir / "credentials.json").read_text())


def _deploy(admin: Connection, code: str) -> str:
    """Publish the machine; returns a token of an end user."""
    admin.request("POST", "/machines", {"slug": "order", "indexes": ["owner"]})
    begun = admin.request("POST", "/machines/order/v")
    upload = urlsplit(begun["codeUploadUrl"])
    admin.upload(f"{upload.path}?{upload.query}", code)
    version = f"/machines/order/v/{begun['machineVersionId']}"
    selectors = {"owner": "$.public.owner"}
    admin.request("PUT", version, {"makeCurrent": True, "indexSelectors": selectors})
    key = admin.request("POST", "/keys", {"name": "benchmark", "use": "production"})
    claims = {
        "act": {"sub": "me"},
        "aud": "https://api.statebacked.dev/",
        "exp": int(time.time()) + 86_400,
    }
    header = {"alg": "HS256", "kid": key["id"]}
    return jwt.encode(header, claims, OctKey.import_key(key["key"].encode()))


def measure_instances(sizes: Sequence[int], folder: Path) -> list[dict[str, Any]]:
    """A row for each size. The store is filled further from size to size."""
    shop, made, results = open_shop(folder), 1, []
    for size in sizes:
        bytes_before, begun = shop.file_bytes(), time.perf_counter()
        shop.fill(range(made, size))
        row: dict[str, Any] = {
            "instances": size,
            "filled s": round(time.perf_counter() - begun, 1),
            "disk bytes each": round((shop.file_bytes() - bytes_before) / (size - made)),
            "start s, empty": round(shop.empty_start_seconds, 2),
        }
        made = size
        shop.forget()
        with serving(shop.data_dir) as server:
            row |= _with_server(shop, server, size)
        results.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    return results


def _with_server(shop: Shop, server: Server, size: int) -> dict[str, Any]:
    row: dict[str, Any] = {"start s": round(server.ready_after_seconds, 2)}
    user = server.connection(shop.token)
    # The first event starts the host.
    user.touch(0)
    row["memory MiB, idle"] = server.memory_mb()["server"]
    numbers = random.Random(size).sample(range(1, size), min(COLD_EVENTS, size - 1))
    row["cold event ms"] = _spread([user.touch(number) for number in numbers])
    row["warm event ms"] = _spread([user.touch(number) for number in numbers])
    at_random = random.Random(size + 1)
    begun = time.perf_counter()
    _send_many(server, shop.token, [at_random.randrange(size) for _ in range(RANDOM_EVENTS)])
    row["random events/s"] = round(RANDOM_EVENTS / (time.perf_counter() - begun))
    row["memory MiB, after events"] = server.memory_mb()["server"]
    # The server closes connections that are idle for long.
    user = server.connection(shop.token)
    reads = [
        f"/machines/order/i/{filling.name_of(at_random.randrange(size))}" for _ in range(READS)
    ]
    row["read ms"] = _spread([user.get(path) for path in reads])
    row["memory MiB, after reads"] = server.memory_mb()["server"]
    admin = server.connection(_credentials(shop.data_dir)["token"])
    row |= _lists(shop, admin, size)
    row["memory MiB, hosts"] = server.memory_mb()["hosts"]
    return row


def _lists(shop: Shop, admin: Connection, size: int) -> dict[str, Any]:
    """Pages from the beginning and from the middle, and what one owner has."""
    query = "/machines/order/indexes/owner/query"
    owners = [
        filling.owner_of(number) for number in random.Random(size).choices(range(size), k=PAGES)
    ]
    paths = {
        "first page ms": ["/machines/order/i"] * PAGES,
        "middle page ms": [f"/machines/order/i?cursor={quote(_middle(shop))}"] * PAGES,
        "index, one owner ms": [f"{query}?op=eq&value={owner}" for owner in owners],
        "index, middle page ms": [f"{query}?op=gte&value={owner}" for owner in owners],
    }
    return {what: _spread([admin.get(path) for path in some]) for what, some in paths.items()}


def _middle(shop: Shop) -> str:
    """The cursor of the page in the middle of all instances."""
    first, last, machine_id = shop.row("SELECT min(id), max(id), machine_id FROM instances")
    return _cursor((first + last) // 2, f"instances of {machine_id}")


def _cursor(number: int, listing: str) -> str:
    page = page_of([(number, None)] * ROWS_MAX, listing)
    assert page.cursor is not None
    return page.cursor


def measure_journal(sizes: Sequence[int], folder: Path) -> list[dict[str, Any]]:
    """A row for each size. There is one instance, whose journal grows from size to size."""
    shop, results = open_shop(folder), []
    for size in sizes:
        filling.lengthen(shop.data_dir, shop.organization_id, "order", 0, size)
        row: dict[str, Any] = {"entries": size}
        shop.forget()
        with serving(shop.data_dir) as server:
            row["start s"] = round(server.ready_after_seconds, 2)
            user = server.connection(shop.token)
            # That starts the host as well.
            row["first event ms"] = round(user.touch(0), 1)
            row["event ms"] = _spread([user.touch(0) for _ in range(COLD_EVENTS)])
            admin = server.connection(_credentials(shop.data_dir)["token"])
            path = f"/machines/order/i/{filling.name_of(0)}/events"
            middle, instance = shop.row("SELECT max(id) / 2, max(instance_id) FROM journal")
            cursor = quote(_cursor(middle, f"transitions of {instance}"))
            row["first page ms"] = _spread([admin.get(path) for _ in range(PAGES)])
            row["middle page ms"] = _spread(
                [admin.get(f"{path}?cursor={cursor}") for _ in range(PAGES)]
            )
            row["memory MiB"] = server.memory_mb()["server"]
        results.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    return results


def _send_many(server: Server, token: str, numbers: Sequence[int]) -> None:
    """Send an event to each, over some connections."""

    def send(share: Sequence[int]) -> None:
        connection = server.connection(token)
        for number in share:
            connection.touch(number)

    _beside([lambda share=numbers[n::SENDERS]: send(share) for n in range(SENDERS)])


def _beside(tasks: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _spread(times: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100)
    return {"p50": round(cuts[49], 2), "p99": round(cuts[98], 2), "max": round(max(times), 1)}


def measure_timers(pending: int, due: int, rate: int, folder: Path) -> dict[str, Any]:
    """So many timers that wait, and then as many as `due` more within a minute, while `rate` events a second are sent."""
    shop = open_shop(folder, in_open=AFTER_A_DAY)
    tomorrow = time.time() * 1000 + DAY_MS
    shop.fill(range(1, pending), lambda _: tomorrow)
    shop.forget()
    result: dict[str, Any] = {"pending": pending, "due": due, "events/s": rate}
    with serving(shop.data_dir) as server:
        result["start s"] = round(server.ready_after_seconds, 2)
        server.connection(shop.token).touch(0)
        result["memory MiB, idle"] = server.memory_mb()["server"]
        numbers = range(pending)
        result["event ms, before"] = _spread(_steady(server, shop, numbers, rate, time.time() + 10))
    # The last of the fill was made some seconds before the first is due.
    first_ms = time.time() * 1000 + (AHEAD_SECONDS + due / 5_000) * 1000

    def due_at(number: int) -> float:
        return round(first_ms + filling.scattered(number) / 2**64 * MINUTE_MS, 3)

    numbers = range(pending, pending + due)
    shop.fill(numbers, due_at)
    result["filled before the first s"] = round(first_ms / 1000 - time.time(), 1)
    with serving(shop.data_dir) as server:
        result["start s, with those that are due"] = round(server.ready_after_seconds, 2)
        server.connection(shop.token).touch(0)
        time.sleep(max(0.0, first_ms / 1000 - time.time()))
        until = (first_ms + MINUTE_MS) / 1000
        result["event ms, meanwhile"] = _spread(_steady(server, shop, range(pending), rate, until))
        result["memory MiB, after"] = server.memory_mb()["server"]
        fired = _await_timers(shop, due)
    result |= _lateness(fired, due_at, numbers)
    return result


def _steady(server: Server, shop: Shop, numbers: range, rate: int, until: float) -> list[float]:
    """Send events at a steady rate to random instances of these; how long each took in ms, from when it should have been sent."""
    times: list[float] = []
    begun, seconds = time.perf_counter(), until - time.time()

    def send(first: int) -> None:
        connection, at_random = server.connection(shop.token), random.Random(first)
        for n in range(first, int(seconds * rate), SENDERS):
            due = begun + n / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            connection.touch(numbers[at_random.randrange(len(numbers))])
            times.append((time.perf_counter() - due) * 1000)

    _beside([lambda first=n: send(first) for n in range(SENDERS)])
    return times


def _await_timers(shop: Shop, due: int) -> dict[str, float]:
    """Names and journal times of the instances whose timers have fired, once all have, or no more do."""
    connection = apsw.Connection(
        str(shop.data_dir / DATABASE_FILE_NAME), flags=apsw.SQLITE_OPEN_READONLY
    )
    fired: dict[str, float] = {}
    while len(fired) < due:
        before = len(fired)
        time.sleep(2)
        rows = connection.execute(
            "SELECT name, ts FROM journal JOIN instances ON instances.id = instance_id WHERE origin = ?",
            (Origin.TIMER,),
        )
        fired = dict(rows.fetchall())
        assert len(fired) > before, f"{due - len(fired)} timers did not fire"
    connection.close()
    return fired


def _lateness(fired: dict[str, float], due_at: filling.DueAt, numbers: range) -> dict[str, Any]:
    late = [fired[filling.name_of(number)] - due_at(number) for number in numbers]
    return {"lateness ms": _spread(late), "first after ms": round(min(late), 2)}


def check(count: int, folder: Path) -> None:
    """Make so many instances over HTTP and as many by filling, and compare their rows."""
    # A multiple, so that whole owners are in both.
    by_http, filled = range(count), range(count, 2 * count)
    shop = open_shop(folder, in_open=AFTER_A_DAY, made=count)
    shop.fill(filled, lambda _: 0.0)
    made = filling.rows(shop.data_dir, "order", by_http)
    same = filling.rows(shop.data_dir, "order", filled)
    assert made == same, next((a, b) for a, b in zip(made, same, strict=True) if a != b)
    assert all(made), "there are rows to compare"
    print(f"{count:,} instances made over HTTP and as many by filling have the same rows, such as")
    Console().print(made[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["instances", "journal", "timers", "check"])
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument("--pending", type=int, default=1_000_000)
    parser.add_argument("--due", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--directory", type=Path, help="on the disk to measure")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        folder = Path(name)
        if options.what == "check":
            check(sizes[0], folder)
            return
        result: Any
        if options.what == "instances":
            result = measure_instances(sizes, folder)
        elif options.what == "journal":
            result = measure_journal(sizes, folder)
        else:
            result = measure_timers(options.pending, options.due, options.rate, folder)
    if options.json:
        print(json.dumps(result))
    else:
        Console().print(result)


if __name__ == "__main__":
    main()
