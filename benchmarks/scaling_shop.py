"""A server with a data folder and one machine, and connections to it: what benchmarks/scaling.py and its parts measure with."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import apsw
import filling
from event_path import free_port, memory_mib, user_token

from statekeep.storage.pages import ROWS_MAX, page_of
from statekeep.storage.sqlite.connection import DATABASE_FILE_NAME

PAGES: Final = 100
"""Times that a page is read."""
SENDERS: Final = 8
"""Connections beyond the one whose times are told."""
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

    def create(self, number: int) -> float:
        """Make an instance; returns how long it took in ms."""
        begun = time.perf_counter()
        context = {"public": {"owner": filling.owner_of(number), "count": 0}}
        body = {"slug": filling.name_of(number), "context": context}
        self.request("POST", "/machines/order", body)
        return (time.perf_counter() - begun) * 1000

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
        process = subprocess.Popen(
            [*command, "--data-dir", str(data_dir)], stdout=log, stderr=log, env=_environment()
        )
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

    def publish(self, count: int) -> None:
        """Give the machine so many more versions while no server runs."""
        filling.publish(self.data_dir, self.organization_id, "order", count)

    def file_bytes(self) -> int:
        return (self.data_dir / DATABASE_FILE_NAME).stat().st_size

    def row(self, query: str) -> tuple[Any, ...]:
        """The first row of a query to the database, beside whatever server there is."""
        file = str(self.data_dir / DATABASE_FILE_NAME)
        connection = apsw.Connection(file, flags=apsw.SQLITE_OPEN_READONLY)
        rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
        connection.close()
        return rows[0]

    def middle_of(self, table: str, column: str) -> str:
        """The cursor of the page in the middle of all instances or versions of the machine."""
        first, last, machine_id = self.row(
            f"SELECT min({column}), max({column}), machine_id FROM {table}"
        )
        return cursor_of((first + last) // 2, f"{table} of {machine_id}")

    def admin_token(self) -> str:
        token: str = _credentials(self.data_dir)["token"]
        return token

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
            connection.create(number)
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
    return user_token(key)


def cursor_of(number: int, listing: str) -> str:
    """The cursor of the page of a list that begins with the row of that number."""
    page = page_of([(number, None)] * ROWS_MAX, listing)
    assert page.cursor is not None
    return quote(page.cursor)


def send_many(server: Server, token: str, numbers: Sequence[int]) -> None:
    """Send an event to each, over some connections."""

    def send(share: Sequence[int]) -> None:
        connection = server.connection(token)
        for number in share:
            connection.touch(number)

    beside([lambda share=numbers[n::SENDERS]: send(share) for n in range(SENDERS)])


def send_steadily(
    server: Server, shop: Shop, numbers: range, rate: int, is_over: Callable[[], bool]
) -> list[float]:
    """Send events at a steady rate to random instances of these until it is over; how long each took in ms, from when it should have been sent."""
    times: list[float] = []
    begun = time.perf_counter()

    def send(first: int) -> None:
        connection, at_random = server.connection(shop.token), random.Random(first)
        for n in itertools.count(first, SENDERS):
            due = begun + n / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            if is_over():
                return
            connection.touch(numbers[at_random.randrange(len(numbers))])
            times.append((time.perf_counter() - due) * 1000)

    beside([lambda first=n: send(first) for n in range(SENDERS)])
    return times


def beside(tasks: Sequence[Callable[[], None]]) -> None:
    """Each on a thread of its own, until all have ended."""
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def spread(times: Sequence[float]) -> dict[str, float]:
    """Of times in ms."""
    cuts = statistics.quantiles(times, n=100)
    return {"p50": round(cuts[49], 2), "p99": round(cuts[98], 2), "max": round(max(times), 1)}
